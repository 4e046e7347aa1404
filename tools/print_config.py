"""Print a config as the Runner will see it: bases merged, overrides applied, and, with --check, judged.

    python tools/print_config.py CONFIG --check --cfg-options train_dataloader.batch_size=1
    python tools/print_config.py --safe DOWNLOADED.py
    python tools/print_config.py --safe DOWNLOADED.py --json COPY.json      (train.py --safe COPY.json trains from it)
    python tools/print_config.py --diff A.py B.py                  (exit code 0: the same, 1: not, 2: trouble)

Without --safe a config is run, as a program is: read those of strangers with it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from rich.console import Console

from medctx3d.engine.launch import load_config, read_config
from medctx3d.registry import register_all_modules
from medctx3d.utils.command_line import add_config_options, run_tool
from medctx3d.utils.config_check import ConfigError, check_config
from medctx3d.utils.config_export import differences, write_json_config
from medctx3d.utils.safe_config import require_safe
from medctx3d.utils.setup_env import setup_environment

COLOURS = {'added': 'green', 'removed': 'red', 'changed': 'yellow'}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', nargs='?', help='a config file')
    parser.add_argument('--diff', nargs=2, metavar=('A', 'B'), help='print what differs between two configs instead')
    parser.add_argument(
        '--check',
        action='store_true',
        help='look up every component and argument that the config names, and with --safe whether they may be built; '
        'status 1 and a list if anything is wrong',
    )
    parser.add_argument('--json', type=Path, metavar='OUT', help='write the merged config as JSON instead of printing')
    add_config_options(parser)
    args = parser.parse_args(argv)
    if (args.config is None) == (args.diff is None):
        parser.error('give one config, or --diff A B')
    if args.diff and (args.check or args.json):
        parser.error('--diff goes with --safe and --cfg-options only')
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Print, write or compare; status 1 if ``--check`` finds a problem or ``--diff`` a difference."""
    args = parse_args(argv)
    if args.diff:
        return print_differences(args)
    cfg, lines = read(args.config, args)
    if args.json:
        write_json_config(cfg, args.json)
        print(f'done: {args.json}', file=sys.stderr)
    else:
        print(cfg.pretty_text)
    if not args.check:
        return 0
    setup_environment()
    register_all_modules()
    try:
        if args.safe:
            require_safe(cfg, lines, given=args.cfg_options or ())
        check_config(cfg)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    print('check: every component and argument exists, and every value has its type', file=sys.stderr)
    return 0


def read(path: str, args: argparse.Namespace) -> tuple[Config, dict[str, str]]:
    """The merged config, and with ``--safe`` where its strings stand."""
    if args.safe:
        found = read_config(path, args.cfg_options)
        return found.config, found.lines
    return load_config(path, args.cfg_options), {}


def print_differences(args: argparse.Namespace) -> int:
    """One line per difference, in colour on a terminal; status as of diff."""
    first, second = args.diff
    try:
        found = differences(read(first, args)[0], read(second, args)[0])
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    console = Console(soft_wrap=True)
    for difference in found:
        console.print(str(difference), style=COLOURS[difference.change], markup=False, highlight=False)
    return 1 if found else 0


if __name__ == '__main__':
    run_tool(lambda: sys.exit(main()))

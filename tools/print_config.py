"""Print a config as the Runner will see it: bases merged, overrides applied, and, with --check, judged."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from medctx3d.engine.launch import load_config
from medctx3d.utils.command_line import ConfigOption, run_tool
from medctx3d.utils.config_check import ConfigError, check_config
from medctx3d.utils.setup_env import setup_environment


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='Example: python tools/print_config.py configs/medcontext/swinunetr_btcv.py --check '
        '--cfg-options train_dataloader.batch_size=1 model.auxiliary.medcontext.weight=0.1',
    )
    parser.add_argument('config', help='a config file')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=ConfigOption,
        metavar='KEY=VALUE',
        help='change values, such as optim_wrapper.optimizer.lr=1e-4 (no blanks around "=")',
    )
    parser.add_argument(
        '--check',
        action='store_true',
        help='look up every component and argument that the config names; status 1 and a list if any does not exist',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the merged config; status 1 if ``--check`` finds a problem."""
    args = parse_args(argv)
    cfg = load_config(args.config, args.cfg_options)
    print(cfg.pretty_text)
    if args.check:
        setup_environment()
        try:
            check_config(cfg)
        except ConfigError as error:
            print(error, file=sys.stderr)
            return 1
        print('check: every component and argument exists', file=sys.stderr)
    return 0


if __name__ == '__main__':
    run_tool(lambda: sys.exit(main()))

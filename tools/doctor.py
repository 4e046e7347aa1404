"""Look at data and machine before step one of a training.

    python tools/doctor.py CONFIG
    python tools/doctor.py CONFIG --out-dir checks --workers 8 --trial-seconds 60
    python tools/doctor.py CONFIG --fix /data/set_repaired     (a repaired copy; the data themselves stay as they are)

Reads every volume once, in parallel, and writes doctor.html and doctor.json: what is wrong with which file, why, and
what to do; spacings, sizes, intensities and class volumes; limits of this machine; time and memory that the training
will take, from some of its own iterations. Exit code 1 where there are errors.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config
from rich.console import Console

from medctx3d.apis.config_consistency import require_keys
from medctx3d.apis.examination import Examination, examine
from medctx3d.apis.splits import told
from medctx3d.apis.training import set_randomness
from medctx3d.datasets.checks import Record
from medctx3d.diagnosis.forecast import SECONDS
from medctx3d.diagnosis.repair import repair_copy, require_new_copy
from medctx3d.engine.completion import close_schedules
from medctx3d.engine.launch import open_config
from medctx3d.reporting.examination import write_examination
from medctx3d.reporting.machine_table import forecast_words
from medctx3d.studies.subsets import folds, subject_of
from medctx3d.utils.atomic import require_writable
from medctx3d.utils.command_line import add_config_options, run_tool


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file of the training')
    parser.add_argument('--out-dir', default='.', help='folder for both files (default: the current one)')
    parser.add_argument('--html', metavar='FILE', help='the page (default: OUT_DIR/doctor.html)')
    parser.add_argument('--json', metavar='FILE', help='the same as JSON (default: OUT_DIR/doctor.json)')
    parser.add_argument('--workers', type=int, help='processes that read volumes (default: one per core, 16 at most)')
    parser.add_argument('--folds', type=int, default=5, help='of the cross-validation whose folds are looked at')
    parser.add_argument(
        '--trial-seconds',
        type=float,
        default=SECONDS,
        help='how long iterations are timed; 0 leaves them out (default: %(default)g)',
    )
    parser.add_argument('--fix', metavar='OUT_DIR', help='write a copy of the data with what can safely be repaired')
    add_config_options(parser)
    args = parser.parse_args()
    if args.workers is not None and args.workers < 1:
        parser.error(f'--workers must be 1 or more, got {args.workers}')
    if args.trial_seconds < 0:
        parser.error(f'--trial-seconds must be 0 or more, got {args.trial_seconds:g}')
    return args


def main() -> None:
    """Read the command line, examine, write, repair."""
    args = parse_args()
    config = open_config(args.config, args.cfg_options, safe=args.safe)
    require_keys(config, 'train')
    set_randomness(config, None)
    close_schedules(config)
    root = data_root(config) if args.fix else None
    if root is not None:
        require_new_copy(args.fix, root)
    folder = require_writable(args.out_dir, '--out-dir')
    html, data = Path(args.html or folder / 'doctor.html'), Path(args.json or folder / 'doctor.json')
    console = Console(stderr=True)

    def divide(records: Sequence[Record]) -> list[list[Record]]:
        subjects = len({subject_of(record) for record in records})
        return folds(records, args.folds, 0) if 2 <= args.folds <= subjects else []

    examination = examine(
        config,
        workers=args.workers,
        trial=args.trial_seconds,
        divide=divide,
        progress=True,
        say=lambda words: console.print(words, style='dim', highlight=False),
    )
    write_examination(examination.config, examination.facts, examination.findings, html=html, data=data)
    show(examination)
    if root is not None:
        fix(examination, config, root, args.fix)
    print(f'done: {html.resolve()} and {data.resolve()}')
    if examination.count('error'):
        sys.exit(1)


def show(examination: Examination) -> None:
    """Errors, then warnings, in full as far as they are few; notes as a number; the forecast."""
    for severity, group in itertools.groupby(examination.findings, lambda finding: finding.severity):
        if severity != 'note':
            print(told([*group], 'found', severity))
    print(', '.join(_number(examination.count(severity), severity) for severity in ('error', 'warning', 'note')))
    print(forecast_words(examination.facts.forecast, examination.facts.machine))


def data_root(config: Config) -> Path:
    """The folder that all splits lie in, which ``--fix`` copies.

    Raises:
        ValueError: The splits lie in several folders.
    """
    roots = {str(dataset.get('data_root') or Path(dataset.ann_file).parent) for dataset in _datasets(config)}
    if len(roots) > 1:
        raise ValueError(f'--fix needs one data_root for all splits, the config has {", ".join(sorted(roots))}')
    return Path(roots.pop())


def fix(examination: Examination, config: Config, root: Path, out: str) -> None:
    """Write the repaired copy and say what was changed, and what was not.

    Raises:
        ValueError: See :func:`~medctx3d.diagnosis.repair.repair_copy`.
    """
    named = {str(dataset.get('ann_file') or '') for dataset in _datasets(config)}
    named |= {'dataset.json', 'splits_final.json'}
    lists = [root / name for name in sorted(named - {''}) if (root / name).is_file()]
    repairs = repair_copy(examination.facts, root, [str(path) for path in lists], out)
    changed = {repair.file for repair in repairs if repair.change != 'none'}
    left = {repair.file for repair in repairs if repair.change == 'none'}
    log = Path(out).resolve() / 'repairs.json'
    print(f'--fix: {_number(len(changed), "file")} repaired, {len(left)} left for you, see {log}')
    if errors := examination.count('error'):  # repairs are of what checks weigh as warnings and notes
        print(f'--fix: {_number(errors, "error")} above {_STAY[errors > 1]}: the copy is not ready either')


_STAY = ('stays as it is', 'stay as they are')


def _datasets(config: Config) -> Iterator[Config]:
    for stage in ('train', 'val', 'test'):
        if config.get(f'{stage}_dataloader'):
            yield config[f'{stage}_dataloader'].dataset


def _number(count: int, what: str) -> str:
    return f'{count} {what}{"" if count == 1 else "s"}'


if __name__ == '__main__':
    run_tool(main)

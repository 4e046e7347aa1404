"""Generate labelled, CT-like abdominal volumes and write them as a data set."""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from medctx3d.datasets.phantom import check_patients, check_population, write_dataset
from medctx3d.utils.command_line import run_tool

PRESETS: dict[str, dict[str, Any]] = {
    'demo': dict(
        layout='plain', training=24, validation=2, test=6, spacing=(5.0, 5.0, 5.0), extent=(360.0, 280.0, 240.0)
    ),
    'btcv': dict(
        layout='btcv', training=18, validation=0, test=12, spacing=(0.75, 0.75, 3.0), extent=(384.0, 384.0, 360.0)
    ),
}
EPILOG = """\
presets
  demo   case_000 ..., 72 x 56 x 48 voxels of about 5 mm, 24 training, 2 validation and 6 test cases; about 1 s each
  btcv   img0005 ..., 512 x 512 x about 120 voxels of about 0.75 x 0.75 x 3 mm, the published 18 training and 12 test
         case ids of BTCV, so that configs written for BTCV run unchanged; about half a minute and 3 GB of memory each

A run that was interrupted goes on where it stopped when it is started again with the same options.

examples
  python tools/dataset/make_phantom.py data/phantom
  python tools/dataset/make_phantom.py data/btcv --preset btcv --workers 2
  python tools/dataset/make_phantom.py data/coarse --training 40 --test 10 --spacing 4 4 5 --seed 7
  python tools/dataset/make_phantom.py --check 20
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EPILOG
    )
    parser.add_argument('out', nargs='?', help='folder to write imagesTr, labelsTr and dataset.json to')
    parser.add_argument('--preset', choices=PRESETS, default='demo', help='size and layout (default: demo)')
    for split in ('training', 'validation', 'test'):
        parser.add_argument(f'--{split}', type=int, metavar='N', help=f'number of {split} cases')
    parser.add_argument('--spacing', type=float, nargs=3, metavar=('X', 'Y', 'Z'), help='mean voxel size in mm')
    parser.add_argument('--extent', type=float, nargs=3, metavar=('X', 'Y', 'Z'), help='mean field of view in mm')
    parser.add_argument('--seed', type=int, default=0, help='other seeds give other patients (default: 0)')
    parser.add_argument('--workers', type=int, default=1, help='processes that compute volumes (default: 1)')
    parser.add_argument(
        '--check',
        type=int,
        metavar='N',
        help='write nothing; generate N patients at 3 mm and print how they do in the eight checks of their anatomy',
    )
    args = parser.parse_args()
    if (args.out is None) == (args.check is None):
        parser.error('give either a folder to write to, or --check N')
    return args


def print_checks(count: int, seed: int) -> None:
    """Check `count` patients and print one line per measured quantity."""
    groups = list(track(check_patients(count, seed=seed), description='patients', total=count))
    table = Table('check', 'what', 'limits', 'mean', 'smallest', 'largest', 'passed')
    for line in check_population(groups):
        style = None if line.passed == line.total else 'yellow' if line.passed >= 0.9 * line.total else 'red'
        values = (line.mean, *line.extremes)
        table.add_row(
            str(line.check),
            line.name,
            f'{line.low:.4g} .. {line.high:.4g}',
            *(f'{value:.3g}' for value in values),
            f'{line.passed}/{line.total}',
            style=style,
        )
    Console(width=130).print(table)


def main() -> None:
    """Write the data set and say where it is, or check the generator."""
    args = parse_args()
    if args.check is not None:
        print_checks(args.check, args.seed)
        return
    settings = dict(PRESETS[args.preset])
    for name in ('training', 'validation', 'test', 'spacing', 'extent'):
        if getattr(args, name) is not None:
            settings[name] = getattr(args, name)
    listing = write_dataset(args.out, seed=args.seed, workers=args.workers, **settings)
    print(f'wrote {listing}')


if __name__ == '__main__':
    run_tool(main)

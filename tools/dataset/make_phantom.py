"""Generate labelled, CT-like abdominal volumes and write them as a data set."""

from __future__ import annotations

import argparse

from medctx3d.datasets.phantom import write_dataset

PRESETS = {
    'demo': dict(
        layout='plain', training=12, validation=2, test=4, spacing=(5.0, 5.0, 5.0), extent=(360.0, 280.0, 240.0)
    ),
    'btcv': dict(
        layout='btcv', training=18, validation=0, test=12, spacing=(0.75, 0.75, 3.0), extent=(384.0, 384.0, 360.0)
    ),
}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""\
presets
  demo   case_000 ..., 72 x 56 x 48 voxels of about 5 mm, 12 training, 2 validation and 4 test cases; about 1 s each
  btcv   img0005 ..., 512 x 512 x about 120 voxels of about 0.75 x 0.75 x 3 mm, the published 18 training and 12 test
         case ids of BTCV, so that configs written for BTCV run unchanged; about a minute and 3 GB of memory each

A run that was interrupted goes on where it stopped when it is started again with the same options.

examples
  python tools/dataset/make_phantom.py data/phantom
  python tools/dataset/make_phantom.py data/btcv --preset btcv --workers 2
  python tools/dataset/make_phantom.py data/coarse --training 40 --test 10 --spacing 4 4 5 --seed 7
""",
    )
    parser.add_argument('out', help='folder to write imagesTr, labelsTr and dataset.json to')
    parser.add_argument('--preset', choices=PRESETS, default='demo', help='size and layout (default: demo)')
    parser.add_argument('--training', type=int, metavar='N', help='number of training cases')
    parser.add_argument('--validation', type=int, metavar='N', help='number of validation cases')
    parser.add_argument('--test', type=int, metavar='N', help='number of test cases')
    parser.add_argument('--spacing', type=float, nargs=3, metavar=('X', 'Y', 'Z'), help='mean voxel size in mm')
    parser.add_argument('--extent', type=float, nargs=3, metavar=('X', 'Y', 'Z'), help='mean field of view in mm')
    parser.add_argument('--seed', type=int, default=0, help='other seeds give other patients (default: 0)')
    parser.add_argument('--workers', type=int, default=1, help='processes that compute volumes (default: 1)')
    return parser.parse_args()


def main() -> None:
    """Write the data set and say where it is."""
    args = parse_args()
    settings = dict(PRESETS[args.preset])
    for name in ('training', 'validation', 'test', 'spacing', 'extent'):
        if getattr(args, name) is not None:
            settings[name] = getattr(args, name)
    listing = write_dataset(args.out, seed=args.seed, workers=args.workers, **settings)
    print(f'wrote {listing}')


if __name__ == '__main__':
    main()

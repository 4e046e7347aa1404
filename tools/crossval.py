"""Compare configs by k-fold cross-validation of the training split; the test split is not touched.

    python tools/crossval.py BASELINE MEDCONTEXT --folds 5 --work-dir work_dirs/crossval
    python tools/crossval.py CONFIG --folds 5 --seeds 3 --workers 2 --work-dir DIR
    python tools/crossval.py --report --work-dir DIR         (tables of what is finished)

Folds divide subjects, not volumes. Every case is scored once per seed, by the training that did not see it; each seed
divides anew. Kill it at any time and run it again: what is finished is kept, what was begun goes on from its last
checkpoint.
"""

from __future__ import annotations

import argparse
import sys

from medctx3d.studies.command_line import add_study_options, run_study
from medctx3d.studies.plan import fold_jobs
from medctx3d.utils.command_line import run_tool


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--folds', type=int, default=5, help='parts of the training split (default 5)')
    parser.add_argument('--seeds', type=int, default=1, help='divisions: seeds 0 to N-1 (default 1)')
    add_study_options(parser)
    return parser.parse_args()


def main() -> None:
    """Read the command line and run the study."""
    args = parse_args()
    done = run_study(
        args,
        kind='cross-validation',
        plan=lambda arms, options: fold_jobs(arms, count=args.folds, seeds=args.seeds, options=options),
    )
    sys.exit(0 if done else 1)


if __name__ == '__main__':
    run_tool(main)

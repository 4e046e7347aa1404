"""Compare configs on few labelled volumes: the same subsets, iterations and test split for all.

    python tools/fewshot.py BASELINE MEDCONTEXT --shots 1 3 5 10 all --seeds 5 --work-dir work_dirs/fewshot
    python tools/fewshot.py CONFIG ... --shots 5 --seeds 3 --iterations 3000 --workers 2 --work-dir DIR
    python tools/fewshot.py --report --work-dir DIR          (tables and plot of what is finished)

A seed shuffles the subjects of the training split; n shots are the first n volumes of that order, so subsets are
nested. Kill it at any time and run it again: what is finished is kept, what was begun goes on from its last
checkpoint, and configs, shots and seeds can be added. The test split is used once per training, for its last
checkpoint, or for the one that --select inner chooses on volumes set aside from the subset.
"""

from __future__ import annotations

import argparse
import sys

from medctx3d.studies.command_line import add_study_options, run_study
from medctx3d.studies.plan import few_shot_jobs, parse_shots
from medctx3d.utils.command_line import run_tool


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--shots', nargs='+', default=['all'], metavar='N', help="labelled volumes; 'all' by default")
    parser.add_argument('--seeds', type=int, default=5, help='subsets of each size: seeds 0 to N-1 (default 5)')
    add_study_options(parser)
    return parser.parse_args()


def main() -> None:
    """Read the command line and run the study."""
    args = parse_args()
    done = run_study(
        args,
        kind='few-shot',
        plan=lambda arms, options: few_shot_jobs(
            arms, shots=parse_shots(args.shots, len(arms[0].train)), seeds=args.seeds, options=options
        ),
    )
    sys.exit(0 if done else 1)


if __name__ == '__main__':
    run_tool(main)

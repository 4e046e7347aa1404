"""Compare configs on few labelled volumes: the same subsets, iterations and test split for all.

    python tools/fewshot.py BASELINE MEDCONTEXT --shots 1 3 5 10 all --seeds 5 --work-dir work_dirs/fewshot
    python tools/fewshot.py CONFIG ... --shots 5 --seeds 3 --iterations 3000 --workers 2 --work-dir DIR

A seed shuffles the subjects of the training split; n shots are the first n volumes of that order: nested.
Kill it at any time and run it again: what is finished is kept, what was begun goes on from its last checkpoint. The
test split is used once per training, for its last checkpoint (or for the one that --select inner chooses on volumes
set aside from the subset).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from medctx3d.registry import register_all_modules
from medctx3d.studies.arms import load_arms, prepare_arms
from medctx3d.studies.schedule import Schedule
from medctx3d.studies.study import SELECTIONS, few_shot_jobs, open_study
from medctx3d.utils.command_line import ConfigOption, run_tool
from medctx3d.utils.setup_env import setup_environment


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='config files, PATH or NAME=PATH')
    parser.add_argument('--shots', nargs='+', required=True, metavar='N', help="labelled volumes, numbers or 'all'")
    parser.add_argument('--seeds', type=int, default=5, help='number of subsets per shot: seeds 0 to N-1 (default 5)')
    parser.add_argument('--work-dir', type=Path, required=True, help='the folder of the study')
    parser.add_argument('--iterations', type=int, help='optimiser iterations of every training (default: the configs)')
    parser.add_argument('--select', choices=SELECTIONS, default='last', help='which checkpoint is tested')
    parser.add_argument('--workers', type=int, default=1, help='trainings at a time; GPUs are dealt in turn')
    parser.add_argument('--threads', type=int, default=1, help='threads of each training')
    parser.add_argument('--keep-checkpoints', action='store_true', help='keep the checkpoints of finished jobs')
    parser.add_argument(
        '--cfg-options', nargs='+', action=ConfigOption, metavar='KEY=VALUE', help='overrides for all configs'
    )
    return parser.parse_args()


def main() -> None:
    """Read the command line, check the configs, run what is not done yet."""
    args = parse_args()
    setup_environment()
    register_all_modules()
    console = Console()
    arms = load_arms(args.configs, options=args.cfg_options, iterations=args.iterations)
    shots = sorted({len(arms[0].train) if given == 'all' else int(given) for given in args.shots})
    jobs = few_shot_jobs(
        arms,
        shots=shots,
        seeds=args.seeds,
        select=args.select,
        threads=args.threads,
        keep_checkpoints=args.keep_checkpoints,
    )
    work_dir = args.work_dir.resolve()
    open_study(work_dir, arms, dict(kind='few-shot', select=args.select))
    prepare_arms(arms)
    iterations = {arm.name: arm.iterations for arm in arms}
    schedule = Schedule(jobs, iterations=iterations, work_dir=work_dir, workers=args.workers, console=console)
    if schedule.run():
        sys.exit(1)


if __name__ == '__main__':
    run_tool(main)

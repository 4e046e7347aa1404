"""What tools/fewshot.py and tools/crossval.py share: options, and the way from arms to a report."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from medctx3d.registry import register_all_modules
from medctx3d.studies.arms import Arm, load_arms, prepare_arms
from medctx3d.studies.job import Job
from medctx3d.studies.plan import SELECTIONS, JobOptions
from medctx3d.studies.progress import StudyProgress
from medctx3d.studies.report import write_report
from medctx3d.studies.schedule import Schedule
from medctx3d.studies.study import note_jobs, open_study, read_study
from medctx3d.utils.command_line import ConfigOption
from medctx3d.utils.setup_env import setup_environment

Plan = Callable[[Sequence[Arm], JobOptions], list[Job]]


def add_study_options(parser: argparse.ArgumentParser) -> None:
    """The arguments of every study."""
    parser.add_argument('configs', nargs='*', metavar='CONFIG', help='config files, PATH or NAME=PATH')
    parser.add_argument('--work-dir', type=Path, required=True, help='the folder of the study')
    parser.add_argument(
        '--iterations', type=int, help='optimiser iterations of every training (default: train_cfg.max_iters)'
    )
    parser.add_argument(
        '--select',
        choices=SELECTIONS,
        default='last',
        help='test the last checkpoint (default), or the best one on an inner split of the training subset',
    )
    parser.add_argument('--workers', type=int, default=1, help='trainings at a time; GPUs are dealt to them in turn')
    parser.add_argument('--threads', type=int, default=1, help='threads of each training')
    parser.add_argument('--keep-checkpoints', action='store_true', help='keep the checkpoints of finished trainings')
    parser.add_argument(
        '--against', metavar='NAME', help='the report compares each arm with this one alone (default: all with all)'
    )
    parser.add_argument('--report', action='store_true', help='train nothing, report on what is finished')
    parser.add_argument(
        '--cfg-options', nargs='+', action=ConfigOption, metavar='KEY=VALUE', help='overrides for all configs'
    )


def run_study(args: argparse.Namespace, *, kind: str, plan: Plan) -> bool:
    """Check the configs, run what is not done yet, write the report.

    Args:
        args: Of :func:`add_study_options`.
        kind: ``few-shot`` or ``cross-validation``.
        plan: From arms to jobs.

    Returns:
        Whether all jobs are done.

    Raises:
        ValueError: An option, a config or a file breaks a rule.
        OSError: A file is missing, or the folder cannot be written to.
    """
    for name in ('workers', 'threads', 'iterations'):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise ValueError(f'--{name} must be at least 1, got {value}')
    setup_environment()
    register_all_modules()
    console, work_dir = Console(), args.work_dir.resolve()
    if args.report:
        _report(work_dir, console, args.against)
        return True
    if not args.configs:
        raise ValueError('give at least one CONFIG, or --report for what is finished')
    arms = load_arms(args.configs, options=args.cfg_options, iterations=args.iterations)
    _check_against(args.against, [arm.name for arm in arms], work_dir)
    jobs = plan(arms, JobOptions(args.select, args.threads, args.keep_checkpoints))
    command = f'python {shlex.join([*_relative(sys.argv[0]), *sys.argv[1:]])}'
    open_study(work_dir, arms, kind=kind, select=args.select, command=command)
    note_jobs(work_dir, jobs)
    _warn(jobs, console)
    prepare_arms(arms)
    iterations = {arm.name: arm.iterations for arm in arms}
    progress = StudyProgress(jobs, iterations=iterations, work_dir=work_dir, console=console)
    try:
        failed = Schedule(jobs, work_dir=work_dir, workers=args.workers, progress=progress).run()
    except KeyboardInterrupt:
        console.print('stopped: the same command goes on from here, --report shows what is finished')
        raise
    if len(failed) < len(jobs):
        _report(work_dir, console, args.against)
    return not failed


def _check_against(against: str | None, arms: list[str], work_dir: Path) -> None:
    there = read_study(work_dir)['arms'] if (work_dir / 'study.json').is_file() else []
    known = list(dict.fromkeys([*there, *arms]))
    if against is not None and against not in known:
        raise ValueError(f'--against must name an arm of the study ({", ".join(known)}), got {against!r}')


def _relative(tool: str) -> list[str]:
    path = Path(tool)
    return ['/'.join(path.parts[-2:]) if path.is_absolute() else tool]


def _warn(jobs: Sequence[Job], console: Console) -> None:
    unseen = {(job.group, job.seed): job.unseen for job in jobs if job.unseen}
    for (group, seed), classes in unseen.items():
        console.print(
            f'warning: no volume of {group} seed-{seed} shows {", ".join(classes)}', style='yellow', soft_wrap=True
        )


def _report(work_dir: Path, console: Console, against: str | None) -> None:
    summary = write_report(work_dir, against=against)
    for cell in summary.cells.get('dice', []):
        interval = f'[{cell.interval.low:.4f}, {cell.interval.high:.4f}]'
        console.print(f'{cell.setting}  {cell.arm}  Dice {cell.mean:.4f} {interval}', markup=False, highlight=False)
    console.print(f'done: report.md, results.json and results.csv lie in {work_dir}', highlight=False, soft_wrap=True)

"""How far a study is: a bar with the time left, and a line per finished job."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from medctx3d.studies.job import Job

TAIL_LINES = 15  # of a failed job's log
_LOG_END = 2000  # bytes, in which the last line of ProgressHook is looked for
_STEP = re.compile(r'iteration (\d+)/\d+')  # as ProgressHook writes it
_MEMORY = 1800.0  # s, over which the speed is averaged


class StudyProgress:
    """Tells how far the jobs of a study are, counted in iterations.

    On a terminal the bar is live; elsewhere (a file, CI) each line of a finished job ends with the time left.

    Args:
        jobs: All jobs of the invocation.
        iterations: Of each arm's jobs.
        work_dir: Of the study.
        console: Where to tell.
    """

    def __init__(
        self, jobs: Sequence[Job], *, iterations: Mapping[str, int], work_dir: Path, console: Console
    ) -> None:
        self.jobs = list(jobs)
        self.iterations = iterations
        self.work_dir = work_dir
        self.console = console
        self.bar = Progress(
            TextColumn('[bold]{task.description}'),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn('ETA'),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            speed_estimate_period=_MEMORY,
        )
        self._done = [job for job in jobs if job.is_done(work_dir)]
        self._total = sum(iterations[job.arm] for job in jobs)
        self._steps = self._first = sum(iterations[job.arm] for job in self._done)
        self._started = time.monotonic()
        self._task = self.bar.add_task('', total=self._total, completed=self._first)

    def update(self, running: Iterable[Job], *, failed: int, elsewhere: int) -> None:
        """Move the bar.

        Args:
            running: Jobs that this invocation runs.
            failed: Number of those that failed.
            elsewhere: Number of those that other processes run.
        """
        running = list(running)
        done = sum(self.iterations[job.arm] for job in self._done)
        self._steps = done + sum(iteration_of(job.folder(self.work_dir)) for job in running)
        told = {'running': len(running), 'failed': failed, 'in other processes': elsewhere}
        title = ', '.join([f'{self._count()} trainings', *(f'{n} {what}' for what, n in told.items() if n)])
        self.bar.update(self._task, completed=self._steps, description=title)

    def finished(self, job: Job, words: str) -> None:
        """Tell that a job is done."""
        self._done.append(job)
        left = '' if self.console.is_terminal else f'  {self._left()}'
        self.console.print(f'{self._count()}  {job}  {words}{left}', markup=False, highlight=False, soft_wrap=True)

    def failed(self, job: Job, status: int) -> None:
        """Tell that a job failed, with the end of its log."""
        log = job.folder(self.work_dir) / 'job.log'
        last = log.read_text(encoding='utf-8', errors='replace').splitlines()[-TAIL_LINES:]
        told = f'{job} FAILED with status {status}; the end of {log}:'
        self.console.print(told, style='bold red', markup=False, soft_wrap=True)
        for line in last:
            self.console.print(f'  {line}', style='red', markup=False, highlight=False, soft_wrap=True)

    def _count(self) -> str:
        return f'{len(self._done)}/{len(self.jobs)}'

    def _left(self) -> str:
        """Time left, from the speed of this invocation so far."""
        speed = (self._steps - self._first) / max(time.monotonic() - self._started, 1e-3)
        return f'ETA {(self._total - self._steps) / speed:.0f} s' if speed > 0 else ''


def iteration_of(folder: Path) -> int:
    """How far the job in a folder is, from the end of its log."""
    log = folder / 'job.log'
    if not log.is_file():
        return 0
    with open(log, 'rb') as stream:
        stream.seek(max(log.stat().st_size - _LOG_END, 0))
        found = _STEP.findall(stream.read().decode('utf-8', errors='replace'))
    return int(found[-1]) if found else 0


def score_of(folder: Path) -> str:
    """The first score of a finished job, such as ``dice 0.8123``."""
    means = json.loads((folder / 'results.json').read_text(encoding='utf-8'))['mean']
    metric, value = next(iter(means.items()))
    return f'{metric} {"-" if value is None else f"{value:.4f}"}'

"""Running the jobs of a study side by side, each in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from medctx3d.evaluation.metrics.summary import mean
from medctx3d.studies.claims import claim, release
from medctx3d.studies.job import Job, write_json

POLL_SECONDS = 0.5
PATIENCE_SECONDS = 20.0  # that a job gets to end when it is told to
TAIL_LINES = 15  # of a failed job's log
_STEP = re.compile(r'iteration (\d+)/(\d+)')  # as ProgressHook writes it


class _Running(NamedTuple):
    job: Job
    process: subprocess.Popen
    slot: int
    started: float


class Schedule:
    """Runs jobs in up to ``workers`` processes until each is done, here or by another invocation on the same folder.

    Args:
        jobs: In the order wanted.
        iterations: Of each job, for the estimate of the time left.
        work_dir: Of the study, with ``arms/``.
        workers: Processes at a time; with GPUs, worker ``i`` gets GPU ``i`` modulo their number.
        console: Where to tell.
    """

    def __init__(
        self, jobs: Sequence[Job], *, iterations: dict[str, int], work_dir: Path, workers: int, console: Console
    ) -> None:
        self.jobs = list(jobs)
        self.iterations = iterations
        self.work_dir = work_dir
        self.console = console
        self.failed: list[Job] = []
        self._free = list(range(workers))
        self._running: list[_Running] = []
        self._gpus = _gpus()
        self._waiting = [job for job in self.jobs if not job.is_done(work_dir)]
        self._elsewhere: set[Job] = set()

    def run(self) -> list[Job]:
        """Run what is not done yet.

        Returns:
            The jobs that failed.
        """
        columns = (
            TextColumn('[bold]{task.description}'),
            BarColumn(bar_width=30),
            TextColumn('{task.percentage:.0f} %'),
            TimeElapsedColumn(),
            TextColumn('ETA'),
            TimeRemainingColumn(),
        )
        before = signal.signal(signal.SIGTERM, _interrupt)
        bar = Progress(
            *columns, console=self.console, disable=not self.console.is_terminal, speed_estimate_period=1800
        )
        self._started = time.monotonic()
        self._first = self._steps()
        total = sum(self.iterations[job.arm] for job in self.jobs)
        try:
            with bar:
                task = bar.add_task('', total=total, completed=self._first)
                while self._waiting or self._running:
                    self._collect()
                    self._fill()
                    bar.update(task, completed=self._steps(), description=self._title())
                    time.sleep(POLL_SECONDS)
        finally:
            self._stop()
            signal.signal(signal.SIGTERM, before)
        return self.failed

    def _fill(self) -> None:
        """Start jobs while there are free workers; what others work on or have done is left to them."""
        for job in [*self._waiting]:
            if not self._free:
                return
            if job.is_done(self.work_dir):
                self._waiting.remove(job)
                self._tell(job, 'done by another process')
                continue
            lock = claim(job.folder(self.work_dir))
            if lock is None:
                self._elsewhere.add(job)
                continue
            try:
                if not job.is_done(self.work_dir):
                    self._start(job, lock)
                    self._waiting.remove(job)
            finally:
                release(lock)  # the process that was started holds it on

    def _start(self, job: Job, lock: int) -> None:
        self._elsewhere.discard(job)
        folder, slot = job.folder(self.work_dir), self._free.pop(0)
        write_json(folder / 'job.json', job._asdict())
        environment = dict(os.environ, OMP_NUM_THREADS=str(job.threads), MKL_NUM_THREADS=str(job.threads))
        environment.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
        if self._gpus:
            environment['CUDA_VISIBLE_DEVICES'] = self._gpus[slot % len(self._gpus)]
        with open(folder / 'job.log', 'ab') as log:
            process = subprocess.Popen(
                [sys.executable, '-m', 'medctx3d.studies.job', str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C is for this process, which then tells its jobs
            )
        self._running.append(_Running(job, process, slot, time.monotonic()))

    def _collect(self) -> None:
        for running in [*self._running]:
            status = running.process.poll()
            if status is None:
                continue
            self._running.remove(running)
            self._free.append(running.slot)
            if status == 0 and running.job.is_done(self.work_dir):
                took = time.monotonic() - running.started
                self._tell(running.job, f'{_score(running.job.folder(self.work_dir))}  {took:.0f} s')
            else:
                self.failed.append(running.job)
                self._tell_failure(running.job, status)

    def _tell(self, job: Job, words: str) -> None:
        done = len(self.jobs) - len(self._waiting) - len(self._running) - len(self.failed)
        text = f'{done}/{len(self.jobs)}  {job}  {words}'
        if not self.console.is_terminal:
            text += f'  {self._left()}'
        self.console.print(text, highlight=False, soft_wrap=True)

    def _tell_failure(self, job: Job, status: int) -> None:
        log = job.folder(self.work_dir) / 'job.log'
        last = log.read_text(encoding='utf-8', errors='replace').splitlines()[-TAIL_LINES:]
        self.console.print(f'{job} FAILED with status {status}; the end of {log}:', style='bold red', markup=False)
        for line in last:
            self.console.print(f'  {line}', style='red', markup=False, highlight=False, soft_wrap=True)

    def _left(self) -> str:
        """Time left, from the iterations of this invocation so far."""
        steps = self._steps()
        speed = (steps - self._first) / max(time.monotonic() - self._started, 1e-3)
        total = sum(self.iterations[job.arm] for job in self.jobs if job not in self.failed)
        return f'ETA {(total - steps) / speed:.0f} s' if speed > 0 else ''

    def _title(self) -> str:
        done = len(self.jobs) - len(self._waiting) - len(self._running) - len(self.failed)
        parts = [f'{done}/{len(self.jobs)} jobs', f'{len(self._running)} running']
        parts += [f'{len(self.failed)} failed'] if self.failed else []
        parts += [f'{len(self._elsewhere)} in other processes'] if self._elsewhere and not self._running else []
        return ', '.join(parts)

    def _steps(self) -> int:
        """Iterations behind us, those of running jobs included."""
        waiting = {running.job for running in self._running}.union(self._waiting, self.failed)
        done = sum(self.iterations[job.arm] for job in self.jobs if job not in waiting)
        return done + sum(_iteration(running.job.folder(self.work_dir)) for running in self._running)

    def _stop(self) -> None:
        """End what still runs: a job continues from its last checkpoint when the study is run again."""
        for running in self._running:
            _signal(running.process, signal.SIGTERM)
        for running in self._running:
            try:
                running.process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                _signal(running.process, signal.SIGKILL)
                running.process.wait()


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def _signal(process: subprocess.Popen, number: int) -> None:
    if process.poll() is None:
        os.killpg(process.pid, number)  # it leads a session of its own: its loader's workers go with it


def _gpus() -> list[str]:
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    if not torch.cuda.is_available():
        return []
    return visible.split(',') if visible else [str(index) for index in range(torch.cuda.device_count())]


def _iteration(folder: Path) -> int:
    """How far a running job is, from the end of its log."""
    log = folder / 'job.log'
    if not log.is_file():
        return 0
    with open(log, 'rb') as stream:
        stream.seek(max(log.stat().st_size - 2000, 0))
        found = _STEP.findall(stream.read().decode('utf-8', errors='replace'))
    return int(found[-1][0]) if found else 0


def _score(folder: Path) -> str:
    results = json.loads((folder / 'results.json').read_text(encoding='utf-8'))['mean']
    value = results.get('dice')
    return f'Dice {mean([]) if value is None else value:.4f}'

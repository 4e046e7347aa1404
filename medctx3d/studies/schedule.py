"""Running the jobs of a study side by side, each in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen, TimeoutExpired
from typing import NamedTuple

import torch

from medctx3d.studies.job import Job, write_json
from medctx3d.studies.progress import StudyProgress, score_of
from medctx3d.utils.claims import claim, release

JOB_COMMAND = (sys.executable, '-m', 'medctx3d.studies.job')
POLL_SECONDS = 0.5
PATIENCE_SECONDS = 20.0  # that a job gets to end when it is told to


class _Running(NamedTuple):
    job: Job
    process: Popen
    slot: int
    started: float


class Schedule:
    """Runs jobs in up to ``workers`` processes until each is done, here or by another invocation on the same folder.

    Args:
        jobs: In the order wanted.
        work_dir: Of the study, with ``arms/``.
        workers: Processes at a time; with GPUs, worker ``i`` gets GPU ``i`` modulo their number.
        progress: Where to tell.
    """

    def __init__(self, jobs: Sequence[Job], *, work_dir: Path, workers: int, progress: StudyProgress) -> None:
        self.work_dir = work_dir
        self.progress = progress
        self._waiting = [job for job in jobs if not job.is_done(work_dir)]
        self._running: list[_Running] = []
        self._failed: list[Job] = []
        self._elsewhere: set[Job] = set()
        self._free = list(range(workers))
        self._gpus = visible_gpus()

    def run(self) -> list[Job]:
        """Run what is not done yet.

        Returns:
            The jobs that failed.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM; what ran was ended and goes on from its checkpoint next time.
        """
        before = signal.signal(signal.SIGTERM, _interrupt)
        try:
            with self.progress.bar:
                while self._waiting or self._running:
                    self._collect()
                    self._fill()
                    running = [running.job for running in self._running]
                    self.progress.update(running, failed=len(self._failed), elsewhere=len(self._elsewhere))
                    time.sleep(POLL_SECONDS)
        finally:
            self._stop()
            signal.signal(signal.SIGTERM, before)
        return self._failed

    def _fill(self) -> None:
        """Start jobs while there are free workers; what others work on or have done is left to them."""
        for job in [*self._waiting]:
            if not self._free:
                return
            lock = claim(job.folder(self.work_dir) / 'claim.lock')
            if lock is None:
                self._elsewhere.add(job)
                continue
            self._waiting.remove(job)
            self._elsewhere.discard(job)
            try:
                if job.is_done(self.work_dir):
                    self.progress.finished(job, 'in another process')
                else:
                    self._start(job, lock)
            finally:
                release(lock)  # the process that was started holds it on

    def _start(self, job: Job, lock: int) -> None:
        folder, slot = job.folder(self.work_dir), self._free.pop(0)
        write_json(folder / 'job.json', job._asdict())
        environment = dict(os.environ, OMP_NUM_THREADS=str(job.threads), MKL_NUM_THREADS=str(job.threads))
        environment.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
        if self._gpus:
            environment['CUDA_VISIBLE_DEVICES'] = self._gpus[slot % len(self._gpus)]
        with open(folder / 'job.log', 'ab') as log:
            process = Popen(
                [*JOB_COMMAND, str(folder)],
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
                env=environment,
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C is for this process, which then tells its jobs
            )
        self._running.append(_Running(job, process, slot, time.monotonic()))

    def _collect(self) -> None:
        """See which jobs ended, and how."""
        for running in [*self._running]:
            status = running.process.poll()
            if status is None:
                continue
            self._running.remove(running)
            self._free.append(running.slot)
            if status == 0 and running.job.is_done(self.work_dir):
                took = time.monotonic() - running.started
                self.progress.finished(running.job, f'{score_of(running.job.folder(self.work_dir))}  {took:.0f} s')
            else:
                self._failed.append(running.job)
                self.progress.failed(running.job, status)

    def _stop(self) -> None:
        """End what still runs."""
        for running in self._running:
            _signal(running.process, signal.SIGTERM)
        for running in self._running:
            try:
                running.process.wait(PATIENCE_SECONDS)
            except TimeoutExpired:
                _signal(running.process, signal.SIGKILL)
                running.process.wait()


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them; none without CUDA."""
    if not torch.cuda.is_available():
        return []
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    return visible.split(',') if visible else [str(index) for index in range(torch.cuda.device_count())]


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def _signal(process: Popen, number: int) -> None:
    if process.poll() is None:
        os.killpg(process.pid, number)  # it leads a session of its own: its loader's workers go with it

"""The same work on many volumes, in several processes, with a bar, or in a log file with a line now and then."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.data import get_worker_info

T = TypeVar('T')


def work_through(work: Callable[[T], Any], jobs: Sequence[T], workers: int, *, title: str, progress: bool) -> None:
    """Do all jobs, in ``workers`` processes (in this one if there is one at most).

    Args:
        work: A function of a module, called once per job.
        jobs: What can be sent to a process.
        workers: At least 0.
        title: Of the bar.
        progress: Show it on stderr: a bar in a terminal, else a line at every tenth of the jobs.

    Raises:
        Exception: The first that a job raised; jobs that have not begun are dropped.
    """
    workers = min(workers, len(jobs))
    if workers <= 1 or get_worker_info() is not None:  # a loader's worker may have no children
        _track((work(job) for job in jobs), len(jobs), title, progress)
        return
    with ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        # Submitting starts the processes: before the progress bar's thread exists, which a fork would tear.
        futures = [pool.submit(work, job) for job in jobs]
        try:
            _track((future.result() for future in as_completed(futures)), len(jobs), title, progress)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _track(done: Iterable[Any], total: int, title: str, progress: bool) -> None:
    console = Console(stderr=True)
    if progress and not console.is_terminal:  # a bar would show there when all is done, and not before
        for count, _ in enumerate(done, start=1):
            if count * 10 // total > (count - 1) * 10 // total:
                print(f'{title}: {count} of {total}', file=sys.stderr, flush=True)
        return
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not progress) as bar:
        task = bar.add_task(title, total=total)
        for _ in done:
            bar.advance(task)

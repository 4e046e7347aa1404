"""A training that does not move says so, with the stack of every process."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.distributed.elastic.multiprocessing.errors import get_error_handler

from medctx3d.engine.heartbeats import Heartbeats
from medctx3d.engine.stacks import StackCollector
from medctx3d.registry import HOOKS


class StalledError(RuntimeError):
    """A training made no step within the limit."""


@HOOKS.register_module()
class WatchdogHook(Hook):
    """Log the stacks of all processes when no step ends within a limit, and end a job whose ranks wait for each other.

    A thread of every rank looks at the clock; steps of training and of validation count alike. At a stall the log
    gets, once, what was going on, the stacks of all threads and of the loaders' workers, and the last sign of life of
    every rank. Ranks other than 0 also write it to ``stall_rank_<r>.txt`` beside the log file.

    Args:
        limit: s without a step that make a stall.
        end: End the process then, with exit code 1, so that a launcher ends or restarts the job. None: only where
            there are several ranks, which would otherwise wait for one another until the process group's timeout.

    Raises:
        ValueError: ``limit`` is not positive.
    """

    priority = 'VERY_LOW'

    def __init__(self, limit: float = 900.0, *, end: bool | None = None) -> None:
        if limit <= 0:
            raise ValueError(f'WatchdogHook: limit must be a positive number of seconds, got {limit}')
        self.limit = limit
        self.end = end
        self._stacks = StackCollector()  # before the Runner starts workers
        self._over = threading.Event()
        self._doing = ''
        self._since = 0.0
        self._told = False

    def before_train(self, runner: Runner) -> None:
        """Begin to watch."""
        self._moved(f'loading the batch of iteration {runner.iter + 1}')
        self._over = threading.Event()
        heartbeats = Heartbeats()
        heartbeats.give(self._doing)  # from the first moment on, the others know this rank's host
        arguments = (runner, heartbeats, self._over)
        threading.Thread(target=self._watch, args=arguments, daemon=True, name='watchdog').start()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """A batch is there."""
        self._moved(f'in iteration {runner.iter + 1}')

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """A step is done."""
        self._moved(f'loading the batch of iteration {runner.iter + 2}')

    def before_val_epoch(self, runner: Runner) -> None:
        """Validation begins."""
        self._moved(f'in the validation after iteration {runner.iter}, at its first volume')

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence | None = None
    ) -> None:
        """A volume is validated."""
        self._moved(f'in the validation after iteration {runner.iter}, {batch_idx + 1} volumes done')

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Validation is over."""
        self._moved(f'loading the batch of iteration {runner.iter + 1}')

    def after_loop(self, runner: Runner) -> None:
        """Stop watching; :class:`~medctx3d.engine.loops.SeekingTrainLoop` calls it however the training ends."""
        self._over.set()

    def after_train(self, runner: Runner) -> None:
        """Stop watching, whatever the loop."""
        self._over.set()

    def _moved(self, doing: str) -> None:
        self._doing, self._since, self._told = doing, time.monotonic(), False

    def _watch(self, runner: Runner, heartbeats: Heartbeats, over: threading.Event) -> None:
        """The thread: give signs of life, and look at the clock."""
        while not over.wait(min(self.limit / 4, 10.0)):
            idle = time.monotonic() - self._since
            _quietly_give(heartbeats, f'{self._doing} for {idle:.0f} s')
            if idle > self.limit and not self._told:
                self._told = True
                ends = heartbeats.world_size > 1 if self.end is None else self.end
                self._report(runner, heartbeats, f'no step for {idle:.0f} s, {self._doing}', ends=ends)

    def _report(self, runner: Runner, heartbeats: Heartbeats, what: str, *, ends: bool) -> None:
        ranks = _ranks(heartbeats)
        then = 'the process ends' if ends else 'the training waits on'
        words = f'rank {heartbeats.rank} (limit {self.limit:g} s): {what}; {then}\n{ranks}'
        stacks = self._stacks.collect()
        runner.logger.error(f'{words}\n{stacks}')
        if heartbeats.rank > 0:  # whose log file mmengine does not write
            with Path(runner.log_dir, f'stall_rank_{heartbeats.rank}.txt').open('a', encoding='utf-8') as stream:
                stream.write(f'{words}\n{stacks}\n')
        if ends:
            _record(words)
            os._exit(1)  # the main thread may never come back to see an exception


def _quietly_give(heartbeats: Heartbeats, doing: str) -> None:
    """A store that is gone is no news: the process group fails by itself."""
    try:
        heartbeats.give(doing)
    except RuntimeError:
        return


def _ranks(heartbeats: Heartbeats) -> str:
    try:
        return '\n'.join(map(str, heartbeats.all()))
    except RuntimeError as error:
        return f'what the other ranks do is unknown, their store is gone: {error}'


def _record(words: str) -> None:
    """Give torchrun, where it is there, the error that it names at the end of the job."""
    if 'TORCHELASTIC_ERROR_FILE' in os.environ:
        try:
            raise StalledError(words)
        except StalledError as error:
            get_error_handler().record_exception(error)  # takes the traceback from the error being handled

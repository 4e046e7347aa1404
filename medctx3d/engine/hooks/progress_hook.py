"""A progress bar of the training."""

from __future__ import annotations

import time
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as EtaColumn

from medctx3d.registry import HOOKS


@HOOKS.register_module()
class ProgressHook(Hook):
    """Show epoch, iteration, ETA, losses and the last validation Dice in one line.

    On a terminal the line is live; elsewhere (a file, CI) a plain line is printed every ``seconds``. The log file has
    every figure.

    Args:
        seconds: Time between plain lines.
    """

    priority = 'LOW'

    def __init__(self, seconds: float = 10.0) -> None:
        self.seconds = seconds
        self.console = Console()
        self.dice = ''
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._started = self._printed = 0.0
        self._first_iter = 0

    def before_train(self, runner: Runner) -> None:
        """Open the bar."""
        self._started = self._printed = time.monotonic()
        self._first_iter = runner.iter
        if not (is_main_process() and self.console.is_terminal):
            return
        columns = (
            TextColumn('[bold]{task.description}'),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn('ETA'),
            EtaColumn(),
            TextColumn('{task.fields[status]}'),
        )
        self._progress = Progress(*columns, console=self.console, refresh_per_second=4)
        self._task = self._progress.add_task('epoch 1', total=runner.max_iters, completed=runner.iter, status='')
        self._progress.start()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Advance the bar, or print a line when one is due."""
        if not is_main_process():
            return
        done = runner.iter + 1
        if self._progress is not None:
            if done % 5 == 0 or done == runner.max_iters:
                title = f'epoch {self._epoch(runner)}'
                status = self._status(outputs)
                self._progress.update(self._task, completed=done, description=title, status=status)
            return
        now = time.monotonic()
        if now - self._printed >= self.seconds or done == runner.max_iters:
            self._printed = now
            left = (now - self._started) / max(done - self._first_iter, 1) * (runner.max_iters - done)
            self.console.print(
                f'epoch {self._epoch(runner)}  iteration {done}/{runner.max_iters}  ETA {left:.0f} s  '
                f'{self._status(outputs)}',
                highlight=False,
                soft_wrap=True,
            )

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Remember the validation Dice."""
        if metrics and 'dice' in metrics:
            self.dice = f'  val Dice {metrics["dice"]:.3f}'
            if is_main_process():
                self.console.print(f'validation after {runner.iter} iterations: mean Dice {metrics["dice"]:.3f}')

    def after_train(self, runner: Runner) -> None:
        """Close the bar."""
        self._close()

    def after_run(self, runner: Runner) -> None:
        """Close the bar also where training was left early."""
        self._close()

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _status(self, outputs: dict | None) -> str:
        terms = {name: value.item() for name, value in (outputs or {}).items() if 'loss' in name}
        total = terms.pop('loss', None)
        parts = [] if total is None else [f'loss {total:.3f}']
        parts += [f'{name.replace("loss_", "")} {value:.3f}' for name, value in terms.items()]
        return '  '.join(parts) + self.dice

    @staticmethod
    def _epoch(runner: Runner) -> int:
        loader = runner.train_dataloader
        seen = (runner.iter + 1) * (loader.batch_size or 1) * runner.world_size
        return int((seen - 1) // max(len(loader.dataset), 1)) + 1

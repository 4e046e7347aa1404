"""Saving that never leaves fewer readable checkpoints than before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from mmengine.dist import is_main_process, master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from medctx3d.engine.checkpoint_content import checkpoint_content
from medctx3d.engine.checkpoint_store import BEST, CheckpointStore, write_checkpoint
from medctx3d.engine.stop_request import Preempted, StopRequest
from medctx3d.registry import HOOKS


@HOOKS.register_module()
class SafeCheckpointHook(Hook):
    """Save checkpoints at intervals, at the end, when validation is best, and when the process is told to stop.

    Takes the place of mmengine's CheckpointHook, which deletes old files before it saves (with one file kept and a
    disk that fills, none is left), builds each file in memory first, and does not look at what it wrote. Files are
    written as :class:`~medctx3d.engine.checkpoint_store.CheckpointStore` says and hold what ``Runner.resume`` reads.

    Where gradients are accumulated, a checkpoint that falls between two optimiser steps is saved after the second of
    them, because gradients are not part of it.

    Args:
        interval: Iterations (or epochs) between two checkpoints; below 1: none but the others.
        by_epoch: Count epochs instead of iterations.
        max_keep_ckpts: How many to keep, the best ones aside; below 1 keeps all.
        save_last: Save at the end of training.
        save_best: Metric of the validation whose best checkpoint is kept, as ``best_<metric>_<step>.pth``; it holds
            no optimiser.
        rule: Whether ``greater`` or ``less`` is better.
        stop_signals: Signals that ask for a checkpoint and the end of the process. Slurm and most others send SIGTERM
            before they kill.

    Raises:
        ValueError: ``rule`` is neither of the two, or a signal is unknown.
    """

    priority = 'VERY_LOW'

    def __init__(
        self,
        interval: int = -1,
        *,
        by_epoch: bool = False,
        max_keep_ckpts: int = -1,
        save_last: bool = True,
        save_best: str | None = None,
        rule: Literal['greater', 'less'] = 'greater',
        stop_signals: Sequence[str] = ('SIGTERM',),
    ) -> None:
        if rule not in ('greater', 'less'):
            raise ValueError(f"SafeCheckpointHook: rule must be 'greater' or 'less', got {rule!r}")
        self.interval = interval
        self.by_epoch = by_epoch
        self.max_keep_ckpts = max_keep_ckpts
        self.save_last = save_last
        self.save_best = save_best
        self.rule = rule
        self.stop = StopRequest(stop_signals)
        self._due = False
        self._saved_step = -1
        self._store = CheckpointStore('.')
        self._config_text = ''

    def before_train(self, runner: Runner) -> None:
        """Open the store and listen for signals."""
        self._store = CheckpointStore(runner.work_dir)
        self._config_text = runner.cfg.pretty_text
        if is_main_process():
            self._store.clear_drafts()
        self.stop.listen()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Save where it is time, or where a signal asks for it."""
        last = self.is_last_train_iter(runner)
        if not self.by_epoch:
            self._due |= self.every_n_train_iters(runner, self.interval) or (last and self.save_last)
        stopped = self.stop.agreed()
        if (self._due or stopped) and (runner.optim_wrapper.should_update() or last):
            self._save(runner, runner.iter + 1)
            if stopped and not last:
                raise Preempted(self.stop.received, runner.iter + 1, runner.max_iters)

    def after_train_epoch(self, runner: Runner) -> None:
        """Save where epochs count and it is time."""
        last = self.save_last and self.is_last_train_epoch(runner)
        if self.by_epoch and (self.every_n_epochs(runner, self.interval) or last):
            self._save(runner, runner.epoch + 1)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence | None = None
    ) -> None:
        """Leave a long validation; its iteration is saved already or now, and resuming repeats the validation."""
        if self.stop.received and runner.iter < runner.max_iters:
            self._write(runner, runner.iter, meta=dict(epoch=runner.epoch, iter=runner.iter))
            raise Preempted(self.stop.received, runner.iter, runner.max_iters)

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Keep the weights if validation was better than ever before."""
        if self.save_best is None or not metrics:
            return
        if self.save_best not in metrics:
            raise ValueError(
                f'SafeCheckpointHook: save_best={self.save_best!r} is no metric of the validation, which gave '
                f'{sorted(metrics)}'
            )
        score, hub = float(metrics[self.save_best]), runner.message_hub
        best = hub.get_info('best_score') if 'best_score' in hub.runtime_info else None
        if math.isnan(score) or (best is not None and not (score > best if self.rule == 'greater' else score < best)):
            return  # NaN: no case of the split has an organ to score
        outdated = hub.get_info('best_ckpt') if best is not None else None
        step = runner.epoch if self.by_epoch else runner.iter
        name = f'{BEST}{self.save_best.replace("/", "_")}_{self._name(step)}'
        hub.update_info('best_score', score)
        hub.update_info('best_ckpt', name)
        self._write_best(runner, name, outdated)

    def _name(self, step: int) -> str:
        return f'{"epoch" if self.by_epoch else "iter"}_{step}.pth'

    def _save(self, runner: Runner, step: int) -> None:
        """Save during an iteration (or epoch), which the Runner's counters do not count yet."""
        self._due = False
        after = dict(epoch=step, iter=runner.iter) if self.by_epoch else dict(epoch=runner.epoch, iter=step)
        self._write(runner, step, meta=after)

    @master_only
    def _write(self, runner: Runner, step: int, *, meta: dict[str, int]) -> None:
        if step == self._saved_step:
            return
        with _told_where(step, self._store.folder):
            self._store.add(checkpoint_content(runner, meta, self._config_text), self._name(step), step)
        self._saved_step = step
        if self.max_keep_ckpts > 0:
            self._store.prune(self.max_keep_ckpts)

    @master_only
    def _write_best(self, runner: Runner, name: str, outdated: str | None) -> None:
        meta = dict(epoch=runner.epoch, iter=runner.iter)
        with _told_where(runner.iter, self._store.folder):
            write_checkpoint(
                checkpoint_content(runner, meta, self._config_text, resumable=False), self._store.folder / name
            )
        if outdated is not None and outdated != name:
            (self._store.folder / outdated).unlink(missing_ok=True)


@contextmanager
def _told_where(step: int, folder: Path) -> Iterator[None]:
    """Say of a failed save which it was, and what is left."""
    try:
        yield
    except OSError as error:
        why = (error.strerror or str(error)).removesuffix('; what was there before is whole')
        raise OSError(
            error.errno,
            f'checkpoint of step {step} could not be written to {folder}: {why}. The checkpoints before it are whole; '
            'free some space, or mend what failed, and continue with --resume',
        ) from error

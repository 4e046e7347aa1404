"""The loop of training by iterations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.dist import get_world_size
from mmengine.runner import IterBasedTrainLoop
from mmengine.runner.loops import _InfiniteDataloaderIterator
from torch import nn

from medctx3d.registry import LOOPS


@LOOPS.register_module()
class SeekingTrainLoop(IterBasedTrainLoop):
    """mmengine's loop by iterations, going on where it was, whatever the step.

    mmengine's own loads all batches of the past again to get past them. Here the sampler is told how many draws are
    done (its attribute ``start``, see :class:`~medctx3d.datasets.SeededSampler`); only with a sampler that has none,
    such as mmengine's, or that ends with its epoch, batches are passed by one after another. A validation that was
    due at the step resumed from comes first, because the checkpoint was written before it.

    Arguments are those of mmengine's ``IterBasedTrainLoop``.
    """

    dataloader_iterator: Iterator[Any]

    def run(self) -> nn.Module:
        """Train to the last iteration; hooks with an ``after_loop`` are told however the training ends."""
        try:
            return self._run()
        finally:
            self.runner.call_hook('after_loop')

    def _run(self) -> nn.Module:
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        if self._iter > 0:
            self._seek()
            self._maybe_validate()
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._maybe_validate()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        model: nn.Module = self.runner.model
        return model

    def _seek(self) -> None:
        """Bring the loader to where the iteration count is."""
        sampler: Any = self.dataloader.sampler
        if not hasattr(sampler, 'start') or not getattr(sampler, 'infinite', True):
            for _ in range(self._iter):
                next(self.dataloader_iterator)
            return
        sampler.start = self._iter * self.dataloader.batch_size * get_world_size()
        self.dataloader_iterator = _InfiniteDataloaderIterator(self.dataloader)

    def _maybe_validate(self) -> None:
        self._decide_current_val_interval()
        due = self._iter % self.val_interval == 0 or self._iter == self._max_iters
        if self.runner.val_loop is not None and self._iter >= self.val_begin and due:
            self.runner.val_loop.run()

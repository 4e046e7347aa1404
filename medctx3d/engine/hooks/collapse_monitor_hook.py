"""Is the representation still alive?"""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor

from medctx3d.engine.left_alone import left_alone
from medctx3d.engine.unwrapped import unwrapped
from medctx3d.registry import HOOKS
from medctx3d.typing import HasEmbeddings
from medctx3d.utils.collapse import collapse_indicators, positions_as_rows


@HOOKS.register_module()
class CollapseMonitorHook(Hook):
    """Log, every ``interval`` iterations, how the embeddings of the batch just trained on are spread.

    For a pretraining they are what its loss compares (:meth:`SelfSupervisor.embeddings`); for a segmentor, Volume
    Fusion among them, the deepest features at every position. Logged under ``train/embedding/`` are the numbers of
    :func:`~medctx3d.utils.collapse.collapse_indicators`. Two looks in a row with all embeddings nearly parallel, or
    along one line, give a warning. Weights, buffers and random states are left as they were.

    Args:
        interval: Iterations between two looks.
        cosine: Mean cosine between rows above which they count as parallel.
        effective_rank: Rank below which they count as a line.

    Raises:
        ValueError: An interval below 1.
    """

    priority = 'NORMAL'  # before LoggerHook

    def __init__(self, interval: int = 100, *, cosine: float = 0.98, effective_rank: float = 1.5) -> None:
        if interval < 1:
            raise ValueError(f'CollapseMonitorHook: interval must be 1 or more, got {interval}')
        self.interval = interval
        self.cosine = cosine
        self.effective_rank = effective_rank
        self.looks_collapsed = 0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Look, where it is time."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        rows = embeddings_of(runner, data_batch)
        if rows is None or len(rows) < 2:
            return
        seen = collapse_indicators(rows)
        for name, value in seen.items():
            runner.message_hub.update_scalar(f'train/embedding/{name}', value)
        collapsed = seen['cosine'] > self.cosine or seen['effective_rank'] < self.effective_rank
        self.looks_collapsed = self.looks_collapsed + 1 if collapsed else 0
        if self.looks_collapsed == 2:
            print_log(
                f'iteration {runner.iter + 1}: the embeddings have collapsed: mean cosine {seen["cosine"]:.3f} '
                f'(warned above {self.cosine}), effective rank {seen["effective_rank"]:.2f} (warned below '
                f'{self.effective_rank}). What is learnt from here on tells volumes or places hardly apart. Usual '
                "remedies: norm='batch' in the projector, a teacher, a lower learning rate, more volumes per batch, "
                'full precision',
                logger='current',
                level=30,
            )


@torch.no_grad()
def embeddings_of(runner: Runner, data_batch: Any) -> Tensor | None:
    """Rows (M, D) for a collated batch; None for a network that shows no features."""
    model = unwrapped(runner)
    training = model.training
    model.eval()
    try:
        with left_alone(model), runner.optim_wrapper.optim_context(model):
            inputs = model.data_preprocessor(data_batch, True)['inputs']
            if isinstance(model, HasEmbeddings):
                return model.embeddings(inputs).float()
            features = getattr(model(inputs, mode='tensor'), 'features', ())
    finally:
        model.train(training)
    return positions_as_rows(features[-1].float()) if features else None

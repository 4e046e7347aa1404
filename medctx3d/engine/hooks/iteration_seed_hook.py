"""Randomness inside the model as a function of the iteration."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from medctx3d.engine.nonfinite import seed_step
from medctx3d.registry import HOOKS


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Seed torch, numpy and Python's ``random`` from (seed, rank, iteration) before every step.

    Masks, dropout and stochastic depth then depend on no history: a resumed run draws what the uninterrupted one
    would have drawn, with no generator state in the checkpoint. Crops and augmentation are seeded per draw already
    (:class:`~medctx3d.datasets.VolumeDataset`). Ranks differ through ``randomness=dict(diff_rank_seed=True)``.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed the CPU's and every device's generator."""
        seed_step(runner.seed, runner.iter)

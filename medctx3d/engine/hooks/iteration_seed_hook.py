"""Randomness inside the model as a function of the iteration."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

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
        words = np.random.SeedSequence((runner.seed, runner.iter)).generate_state(3)
        torch.manual_seed(int(words[0]) << 31 ^ int(words[1]))
        np.random.seed(words[2])
        random.seed(int(words[2]))

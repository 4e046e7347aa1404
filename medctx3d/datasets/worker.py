"""What a loader's worker process does first."""

from __future__ import annotations

import random

import numpy as np
import torch

from medctx3d.registry import FUNCTIONS


@FUNCTIONS.register_module()
def seed_worker(worker_id: int) -> None:
    """Prepare a worker process of a loader, as ``worker_init_fn=dict(type='medctx3d.seed_worker')``.

    One thread per worker, since several pools of threads on the same cores slow each other down many times over.
    ``VolumeDataset`` seeds each draw by itself; seeding here is for whatever else a user's code draws from.

    Args:
        worker_id: From 0; not needed, as torch has already given each worker a seed of its own.
    """
    torch.set_num_threads(1)
    seed = torch.initial_seed() % 2**32
    random.seed(seed)
    np.random.seed(seed)

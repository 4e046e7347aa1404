"""What a loader's worker process does first."""

from __future__ import annotations

import os
import random
import signal
import threading

import numpy as np
import torch

from medctx3d.registry import FUNCTIONS

GRACE_SECONDS = 60  # that a worker outlives SIGTERM, so that the training can save


@FUNCTIONS.register_module()
def seed_worker(worker_id: int) -> None:
    """Prepare a worker process of a loader; :func:`~medctx3d.engine.launch.build_runner` sees to it.

    One thread per worker, since several pools of threads on the same cores slow each other down many times over. A
    SIGTERM that a cluster sends to all processes at once must not end the workers first: the training would break off
    in the middle of a step instead of saving.
    ``VolumeDataset`` seeds each draw by itself; seeding here is for whatever else a user's code draws from.

    Args:
        worker_id: From 0; not needed, as torch has already given each worker a seed of its own.
    """
    torch.set_num_threads(1)
    _outlive_strangers()
    seed = torch.initial_seed() % 2**32
    random.seed(seed)
    np.random.seed(seed)


def _outlive_strangers() -> None:
    """End on a SIGTERM of the parent, as torch's own handler does; on anybody else's only after a while."""
    if not hasattr(signal, 'sigwaitinfo'):  # macOS and Windows do not say who sent a signal
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # the thread waits for it instead

    def wait() -> None:
        while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
            signal.alarm(GRACE_SECONDS)  # ends the process, should nobody else do it before
        os._exit(0)

    threading.Thread(target=wait, daemon=True, name='sigterm').start()

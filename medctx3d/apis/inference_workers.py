"""Further processes for a run: each builds the model for itself and takes what nobody has claimed."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from medctx3d.apis.inference_share import Share, segment_share

_POLL_SECONDS = 0.5


@contextmanager
def helpers(source: tuple[Any, ...] | None, share: Share, *, overlay: bool) -> Iterator[Callable[[], bool]]:
    """Processes that work on a run beside this one, ``share.workers - 1`` of them, ended with the block.

    GPUs are taken in turn, this process having the first; on the CPU all share its threads.

    Args:
        source: Config, checkpoint and device of the model; None if it is known as a module only.
        share: The run.
        overlay: Whether pictures are drawn.

    Yields:
        A function that waits a moment and says whether all of them have ended.

    Raises:
        ValueError: ``share.workers`` is no number of processes, or the model is known as a module only.
    """
    if share.workers < 1:
        raise ValueError(f'workers must be at least 1, got {share.workers}')
    if share.workers > 1 and source is None:
        raise ValueError(
            'several workers build the model anew, each for itself: give VolumeInferencer the config and the '
            'checkpoint, not a model'
        )
    threads = torch.get_num_threads()
    each = max(1, threads // share.workers)
    context = multiprocessing.get_context('spawn')  # CUDA does not survive a fork
    children = [
        context.Process(target=_help, args=(source, share, _device(source, number), each, overlay), daemon=True)
        for number in range(1, share.workers)
    ]
    torch.set_num_threads(each)
    for child in children:
        child.start()

    def ended() -> bool:
        alive = any(child.is_alive() for child in children)
        if alive:
            time.sleep(_POLL_SECONDS)
        return not alive

    try:
        yield ended
    finally:
        torch.set_num_threads(threads)
        for child in children:
            child.terminate()
            child.join()


def _device(source: tuple[Any, ...] | None, number: int) -> str | None:
    """Device of one process: the next GPU where the first was left to choose or named without index."""
    wanted = source[2] if source else None
    count = torch.cuda.device_count()
    return f'cuda:{number % count}' if wanted in (None, 'cuda') and count else wanted


def _help(source: tuple[Any, ...], share: Share, device: str | None, threads: int, overlay: bool) -> None:
    from medctx3d.apis.inferencer import VolumeInferencer  # it imports this module

    torch.set_num_threads(threads)
    config, weights, _ = source
    inferencer = VolumeInferencer(config, weights, device=device)
    inferencer.overlay = overlay
    segment_share(share, inferencer)

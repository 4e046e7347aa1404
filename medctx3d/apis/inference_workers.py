"""Further processes for a run: each builds the model for itself and takes what nobody has claimed."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from medctx3d.apis.inference_share import Share, segment_share
from medctx3d.inference import PredictionOptions

_POLL_SECONDS = 0.5


class ModelSource(NamedTuple):
    """What a model is built from, in any process: the arguments of :func:`init_model`."""

    config: str | Path | Config
    weights: str | Path | Sequence[str | Path] | None
    device: str | None
    options: PredictionOptions | None


def check_workers(source: ModelSource | None, workers: int) -> None:
    """Refuse a number of processes that cannot be.

    Raises:
        ValueError: It is below 1, or above 1 where the model is known as a module only.
    """
    if workers < 1:
        raise ValueError(f'workers must be at least 1, got {workers}')
    if workers > 1 and source is None:
        raise ValueError(
            'several workers build the model anew, each for itself: give VolumeInferencer the config and the '
            'checkpoint, not a model'
        )


@contextmanager
def helpers(source: ModelSource | None, share: Share, extras: Sequence[str]) -> Iterator[Callable[[], bool]]:
    """Processes that work on a run beside this one, ``share.workers - 1`` of them, ended with the block.

    GPUs are taken in turn, this process having the first; on the CPU all share its threads.

    Args:
        source: What the model is built from; None if it is known as a module only.
        share: The run.
        extras: What is written beside the labels.

    Yields:
        A function that waits a moment and says whether all of them have ended.
    """
    threads = torch.get_num_threads()
    each = max(1, threads // share.workers)
    context = multiprocessing.get_context('spawn')  # CUDA does not survive a fork
    children = [
        context.Process(target=_help, args=(source, share, _device(source, number), each, extras), daemon=True)
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


def _device(source: ModelSource | None, number: int) -> str | None:
    """Device of one process: the next GPU where the first was left to choose or named without index."""
    wanted = source.device if source else None
    count = torch.cuda.device_count()
    return f'cuda:{number % count}' if wanted in (None, 'cuda') and count else wanted


def _help(source: ModelSource, share: Share, device: str | None, threads: int, extras: Sequence[str]) -> None:
    from medctx3d.apis.inferencer import VolumeInferencer  # it imports this module

    torch.set_num_threads(threads)
    if isinstance(source.config, Config):  # built here from a dict, where reading the file imported plugins
        import_modules_from_strings(**source.config.get('custom_imports', dict(imports=[])))
    inferencer = VolumeInferencer(source.config, source.weights, device=device, options=source.options)
    inferencer.extras = tuple(extras)
    segment_share(share, inferencer)

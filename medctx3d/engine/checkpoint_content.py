"""What a checkpoint holds: all that a training needs to go on as if it had never stopped."""

from __future__ import annotations

import time
from typing import Any

import mmengine
from mmengine.runner import Runner
from mmengine.runner.checkpoint import weights_to_cpu
from mmengine.utils import apply_to
from torch import Tensor

from medctx3d.engine.unwrapped import unwrapped


def checkpoint_content(
    runner: Runner, meta: dict[str, int], config_text: str, *, resumable: bool = True
) -> dict[str, Any]:
    """Collect what ``Runner.resume`` reads.

    There is no state of random generators in it: crops are functions of (seed, draw) and everything else of (seed,
    rank, iteration), see :class:`~medctx3d.engine.hooks.IterationSeedHook`. Nor is there a position of the sampler:
    :class:`~medctx3d.engine.loops.SeekingTrainLoop` computes it from the iteration.

    Args:
        runner: In training.
        meta: ``epoch`` and ``iter`` that are done.
        config_text: Of the run's config; laying it out takes half a second, so that the caller keeps it.
        resumable: False leaves out optimiser and schedulers.

    Returns:
        Tensors on the CPU (those of a CPU model are not copied) in containers of plain data.
    """
    meta_of_run: dict[str, Any] = dict(
        meta,
        cfg=config_text,
        seed=runner.seed,
        experiment_name=runner.experiment_name,
        time=time.strftime('%Y%m%d_%H%M%S'),
        mmengine_version=mmengine.__version__,
    )
    dataset = runner.train_dataloader.dataset
    if hasattr(dataset, 'metainfo'):
        meta_of_run['dataset_meta'] = dataset.metainfo
    content: dict[str, Any] = dict(
        meta=meta_of_run,
        state_dict=weights_to_cpu(unwrapped(runner).state_dict()),
        message_hub=_on_cpu(runner.message_hub.state_dict()),
    )
    if resumable:
        content['optimizer'] = _on_cpu(runner.optim_wrapper.state_dict())
        content['param_schedulers'] = _schedules(runner.param_schedulers)
    runner.call_hook('before_save_checkpoint', checkpoint=content)
    return content


def _schedules(schedulers: Any) -> Any:
    """States of the schedulers; those of several optimisers by name."""
    if isinstance(schedulers, dict):
        return {name: _schedules(own) for name, own in schedulers.items()}
    return [scheduler.state_dict() for scheduler in schedulers or ()]


def _on_cpu(state: Any) -> Any:
    return apply_to(state, lambda value: isinstance(value, Tensor), lambda tensor: tensor.cpu())

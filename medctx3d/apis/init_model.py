"""From a config and a checkpoint to a model that predicts."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from torch import nn

from medctx3d.engine.checkpoint import load_weights
from medctx3d.engine.launch import load_config
from medctx3d.registry import MODELS, register_all_modules


def init_model(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    *,
    device: str | None = None,
    cfg_options: dict[str, Any] | None = None,
) -> nn.Module:
    """Build a model for prediction.

    What only training needs is left out: auxiliary heads, and the teacher unless ``test_cfg`` predicts with it.

    Args:
        config: Config file, or a config.
        checkpoint: File with the weights; None keeps the initial ones.
        device: Such as ``cuda:0`` or ``cpu``; default: the first accelerator, else the CPU.
        cfg_options: Values that replace those of the config, by dotted key.

    Returns:
        The model in eval mode, with the config as ``model.cfg``.

    Raises:
        FileNotFoundError: The config or the checkpoint is missing.
        ValueError: The device cannot be used.
        CheckpointError: The checkpoint is damaged, foreign or made for another network.
    """
    register_all_modules()
    if isinstance(config, Config):
        cfg = copy.deepcopy(config)
        cfg.merge_from_dict(cfg_options or {})
    else:
        cfg = load_config(config, cfg_options)
    settings = dict(cfg.model)
    with_teacher = (settings.get('test_cfg') or {}).get('predict_with') == 'teacher'
    settings.pop('auxiliary', None)
    if not with_teacher:
        settings.pop('teacher', None)
    model = MODELS.build(settings)
    if checkpoint is not None:
        load_weights(model, checkpoint, optional=('auxiliary.',) if with_teacher else ('auxiliary.', 'teacher.'))
    model.cfg = cfg
    return _to_device(model, device or get_device()).eval()


def _to_device(model: nn.Module, device: str) -> nn.Module:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA, no such GPU, no such word
        there = ', '.join(['cpu', *(f'cuda:{number}' for number in range(torch.cuda.device_count()))])
        raise ValueError(
            f'device {device!r} cannot be used ({str(error).splitlines()[0]}); there is: {there}'
        ) from error

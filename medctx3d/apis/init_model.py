"""From a config and a checkpoint to a model that predicts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from torch import nn

from medctx3d.apis.prediction_options import answering, apply_options
from medctx3d.engine.checkpoint import load_weights
from medctx3d.engine.launch import load_config
from medctx3d.inference import PredictionOptions
from medctx3d.registry import MODELS, register_all_modules


def init_model(
    config: str | Path | Config,
    checkpoint: str | Path | Sequence[str | Path] | None = None,
    *,
    device: str | None = None,
    cfg_options: dict[str, Any] | None = None,
    options: PredictionOptions | None = None,
) -> nn.Module:
    """Build a model for prediction.

    What only training needs is left out: auxiliary heads, and the teacher unless it is to predict.

    Args:
        config: Config file, or a config.
        checkpoint: File with the weights; None keeps the initial ones. Several, such as those of the folds of a
            cross-validation, answer together.
        device: Such as ``cuda:0`` or ``cpu``; default: the first accelerator, else the CPU.
        cfg_options: Values that replace those of the config, by dotted key.
        options: What is asked for beyond the config.

    Returns:
        The model in eval mode, with the config as ``model.cfg`` and the options as ``model.options``. Of further
        checkpoints it holds the networks only.

    Raises:
        FileNotFoundError: The config or a checkpoint is missing.
        ValueError: The device cannot be used, or the model or its pipeline cannot do what the options ask.
        CheckpointError: A checkpoint is damaged, foreign or made for another network.
    """
    register_all_modules()
    if isinstance(config, Config):
        cfg = copy.deepcopy(config)
        cfg.merge_from_dict(cfg_options or {})
    else:
        cfg = load_config(config, cfg_options)
    options = options or PredictionOptions()
    names = answering(cfg.model, options)
    settings = {key: value for key, value in cfg.model.items() if key != 'auxiliary'}
    if 'teacher' not in names:
        settings.pop('teacher', None)
    files = [checkpoint] if checkpoint is None or isinstance(checkpoint, (str, Path)) else list(checkpoint)
    if not files:
        raise ValueError('checkpoint must be a file, several, or None for the initial weights, got an empty list')
    models = [_with_weights(settings, file, with_teacher='teacher' in names) for file in files]
    model = models[0]
    model.cfg, model.options = cfg, options
    placed = [_to_device(one, device or get_device()).eval() for one in models]
    networks = [one.teacher if name == 'teacher' else one.network for one in placed for name in names]
    apply_options(model, networks, options)
    return model


def _with_weights(settings: dict[str, Any], checkpoint: str | Path | None, *, with_teacher: bool) -> Any:
    model = MODELS.build(dict(settings))
    if checkpoint is not None:
        load_weights(model, checkpoint, optional=('auxiliary.',) if with_teacher else ('auxiliary.', 'teacher.'))
    return model


def _to_device(model: Any, device: str) -> Any:
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA, no such GPU, no such word
        there = ', '.join(['cpu', *(f'cuda:{number}' for number in range(torch.cuda.device_count()))])
        raise ValueError(
            f'device {device!r} cannot be used ({str(error).splitlines()[0]}); there is: {there}'
        ) from error

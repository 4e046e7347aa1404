"""The pretrained weights that a training begins with, judged before volumes are prepared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from torch import nn

from medctx3d.apis.leakage import leaks, manifest_of, refuse_leaks
from medctx3d.engine.weights import PretrainedWeights
from medctx3d.registry import WEIGHT_INITIALIZERS


def settle_pretrained(config: Config, model: nn.Module) -> list[str]:
    """Refuse pretrained weights that do not fit, or whose pretraining saw what is scored here.

    Args:
        config: Its val and test splits are compared with the images of the pretraining.
        model: Of the config, on any device.

    Returns:
        Sentences for the user, one or two per file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: See :func:`~medctx3d.engine.weights.load_pretrained` (:class:`CheckpointError` is one), and
            :class:`~medctx3d.apis.leakage.LeakageError`.
    """
    told = []
    for module, pretrained in _pretrained(model):
        told.append(f'pretrained weights: {pretrained.examine(module).summary()}')
        seen = manifest_of(pretrained.checkpoint)
        if seen is None:
            told.append(
                f'{pretrained.checkpoint} does not say which images it was trained on: whether one of them is scored '
                'here is not known'
            )
            continue
        shared = leaks(seen, config)
        if not pretrained.allow_leakage:
            refuse_leaks(shared, pretrained.checkpoint)
        count = sum(map(len, shared.values()))
        told.append(
            f'{count} of the {len(seen)} images of the pretraining are scored here'
            + (', which allow_leakage=True allows' if count else '')
        )
    return told


def _pretrained(model: nn.Module) -> Iterator[tuple[nn.Module, PretrainedWeights]]:
    """Each module that begins with pretrained weights; the teacher copies the student and is passed over."""
    for name, module in model.named_modules():
        settings: Any = getattr(module, 'init_cfg', None)
        if not settings or name.startswith('teacher.'):
            continue
        for one in [settings] if isinstance(settings, dict) else settings:
            if one['type'] in ('PretrainedWeights', PretrainedWeights):
                yield module, WEIGHT_INITIALIZERS.build(dict(one))

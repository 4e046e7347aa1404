"""What a user of an exported or published network must know, as plain data that travels in the file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from medctx3d.typing import Size3
from medctx3d.utils.weights_file import weights_digest
from medctx3d.version import __version__

DEPLOYED = ('test', 'val')
_INTENSITY = ('ScaleIntensity', 'NormalizeIntensity', 'ThresholdIntensity', 'ClipIntensity', 'HistogramNormalize')


def describe(network: nn.Module, config: Config, metainfo: Mapping[str, Any]) -> dict[str, Any]:
    """Facts about a deployed network.

    Args:
        network: As it is deployed, with its weights.
        config: That it was trained with; its test data set prepares volumes.
        metainfo: Of that data set.

    Returns:
        ``data`` (the data set), ``classes`` and ``channels`` in the order of the tensors, ``orientation`` (axis
        codes), ``spacing`` (mm), ``intensity`` and ``preprocessing`` (transforms of the load pipeline), ``window``
        (X, Y, Z), versions, and ``weights_sha256``; None where the config does not say.
    """
    channels = metainfo.get('channels') or 'image'
    return dict(
        classes=list(metainfo.get('classes') or ()),
        channels=[channels] if isinstance(channels, str) else list(channels),
        **preparation(config),
        window=list(window_of(config)),
        weights_sha256=weights_digest(network.state_dict()),
        medctx3d=__version__,
        torch=torch.__version__,
    )


def preparation(config: Config, stages: Sequence[str] = DEPLOYED) -> dict[str, Any]:
    """How a config prepares volumes: ``data``, ``orientation``, ``spacing``, ``intensity``, ``preprocessing``.

    Args:
        config: With a data loader for one of ``stages``.
        stages: Whose data set is asked, the first that there is.
    """
    steps = load_pipeline(config, stages)
    return dict(
        data=str(dataset_of(config, stages).get('type', '')),
        orientation=_argument(steps, 'Orientationd', 'axcodes'),
        spacing=_argument(steps, 'Spacingd', 'pixdim'),
        intensity=[step for step in steps if step_name(step).startswith(_INTENSITY)],
        preprocessing=steps,
    )


def as_text(facts: Mapping[str, Any]) -> dict[str, str]:
    """Facts as text by key, for headers that hold nothing else; what is not text is JSON."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}


def window_of(config: Config) -> Size3:
    """The window (X, Y, Z) in which volumes are predicted.

    Raises:
        ValueError: The config has none.
    """
    window = (config.model.get('inferer') or {}).get('roi_size')
    if not isinstance(window, list | tuple) or len(window) != 3 or min(window) < 1:
        raise ValueError(
            f'model.inferer.roi_size must be the window (X, Y, Z) that the network is exported for, got {window!r}'
        )
    x, y, z = (int(side) for side in window)
    return x, y, z


def load_pipeline(config: Config, stages: Sequence[str] = DEPLOYED) -> list[dict[str, Any]]:
    """The load pipeline of the data set of the first of ``stages`` that a config has, as plain data."""
    return json.loads(json.dumps(list(dataset_of(config, stages).get('load_pipeline') or ())))


def dataset_of(config: Config, stages: Sequence[str] = DEPLOYED) -> Mapping[str, Any]:
    """The config of the data set of the first of ``stages`` that a config has; empty if it has none."""
    loaders = (config.get(f'{stage}_dataloader') for stage in stages)
    return next((loader.get('dataset') or {} for loader in loaders if loader), {})


def step_name(step: Mapping[str, Any]) -> str:
    """The name of a transform, without its package."""
    return str(step['type']).rpartition('.')[2]


def _argument(steps: list[dict[str, Any]], name: str, argument: str) -> Any:
    return next((step.get(argument) for step in steps if step_name(step) == name), None)

"""Make a built model predict as its options ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from medctx3d.apis.inference_dataset import inference_dataset, load_transforms
from medctx3d.datasets.transforms import RandMirror
from medctx3d.inference import AveragedScorer, PredictionOptions, StreamedWindowInferer, air_value


def answering(model: Mapping[str, Any], options: PredictionOptions) -> tuple[str, ...]:
    """Which networks of a model config answer: ``student``, ``teacher`` or both.

    Raises:
        ValueError: The teacher is asked for and the config has none.
    """
    wanted = options.networks or (model.get('test_cfg') or {}).get('predict_with') or 'student'
    if wanted != 'student' and not model.get('teacher'):
        raise ValueError(
            f'{wanted!r} is to predict, but the config has no model.teacher: ask for the student, or use the config '
            'of a training with a teacher'
        )
    return ('student', 'teacher') if wanted == 'both' else (wanted,)


def apply_options(model: Any, networks: Sequence[nn.Module], options: PredictionOptions) -> None:
    """Make a built model predict as its options ask.

    Args:
        model: A segmentor with its config as ``cfg``, on its device.
        networks: What answers.
        options: What is asked for.

    Raises:
        ValueError: The model or its pipeline cannot do it; the message names the option.
    """
    swaps = _swaps(model, options.mirror_axes)
    model.scorer = AveragedScorer(
        networks,
        mirror_axes=options.mirror_axes,
        swaps=swaps,
        average=options.average,
        precision=options.precision,
        compile=options.compile,
    )
    if options.resample is not None:
        model.resample = options.resample
    inferer = model.inferer
    if options.overlap is not None and inferer is not None:
        inferer.overlap = (options.overlap,) * 3
    if (options.skip_air or options.max_memory is not None) and not isinstance(inferer, StreamedWindowInferer):
        raise ValueError(
            "skip_air and max_memory need model.inferer=dict(type='StreamedWindowInferer', ...), the config has "
            f'{type(inferer).__name__}'
        )
    if options.skip_air and inferer.air is None:
        inferer.air = air_value(load_transforms(inference_dataset(model.cfg)))
        if inferer.air is None:
            raise ValueError(
                'skip_air: the load pipeline does not settle the value of air (a clipped ScaleIntensityRanged would): '
                'name it, model.inferer.air=VALUE, or show all windows'
            )
    device = next((weight.device for weight in model.parameters()), torch.device('cpu'))
    if options.max_memory is not None and device.type == 'cuda':
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, options.max_memory / total), device)


def _swaps(model: Any, axes: tuple[int, ...]) -> list[tuple[int, int]]:
    """Class ids that change places under a left-right mirror."""
    if not axes:
        return []
    mirror = RandMirror(1.0, axes, metainfo=inference_dataset(model.cfg).metainfo)
    if mirror.axes != axes:
        raise ValueError(
            f'mirror_axes={axes}: the left-right axis cannot be mirrored, a class has a side and no counterpart in '
            f'metainfo.mirror_pairs; use mirror_axes={mirror.axes}, or name the pairs'
        )
    return mirror.swaps

"""Whether volumes can be predicted within the memory that a model's options grant."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from medctx3d.apis.inference_dataset import inference_dataset, load_transforms
from medctx3d.inference import (
    CaseSize,
    Measured,
    MemoryPlan,
    StreamedWindowInferer,
    measure_network,
    plan_memory,
    wanted_shape,
)
from medctx3d.utils.volume_file import read_header

ImagePath = str | os.PathLike[str]
# Float32 volumes that a load pipeline holds at once, when all of it runs in slabs and when not.
_LEAN_COPIES, _OTHER_COPIES = 2, 5


def check_memory(model: nn.Module, images: Iterable[ImagePath | Sequence[ImagePath]]) -> list[MemoryPlan]:
    """See from the headers alone that volumes can be predicted within ``options.max_memory``.

    Args:
        model: From :func:`init_model`; its network is shown one window to see what that takes.
        images: Files, or one list of files per case.

    Returns:
        How each is going to be predicted, and what that takes.

    Raises:
        ValueError: One cannot (:class:`~medctx3d.inference.MemoryLimitError`), or the inferer does not stream.
    """
    dataset = inference_dataset(_any(model).cfg)
    transforms = load_transforms(dataset)
    plans = []
    for image in images:
        files = [image] if isinstance(image, (str, os.PathLike)) else list(image)
        headers = [read_header(Path(file)) for file in files]
        working, lean = wanted_shape(transforms, headers[0].shape[:3], headers[0].affine)
        count = math.prod(headers[0].shape[:3])
        channels = len(files) * math.prod(headers[0].shape[3:])
        # Real numbers are copied while they are read.
        bytes_each = [header.dtype.itemsize + (0 if header.dtype.kind in 'iu' else 4) for header in headers]
        case = CaseSize(
            stored=sum(bytes_each) * count * channels // len(files),
            source=count,
            working=working,
            channels=channels,
            classes=_measured(model, channels).classes,
            copies=_LEAN_COPIES if lean else _OTHER_COPIES,
        )
        plans.append(_plan(model, case, str(files[0])))
    return plans


def plan_sample(model: nn.Module, packed: dict[str, Any]) -> MemoryPlan | None:
    """Let a model's inferer work within ``options.max_memory`` on a volume that was loaded; None without a bound."""
    options = getattr(model, 'options', None)
    if options is None or options.max_memory is None:
        return None
    sample, inputs = packed['data_samples'], packed['inputs']
    x, y, z = inputs.shape[1:]
    classes = _measured(model, len(inputs)).classes
    case = CaseSize(0, math.prod(sample.source_shape), (x, y, z), len(inputs), classes, copies=1)
    plan = _plan(model, case, f'case {sample.case!r}')
    plan.apply(_any(model).inferer)
    return plan


def _plan(model: nn.Module, case: CaseSize, name: str) -> MemoryPlan:
    inferer = _any(model).inferer
    if not isinstance(inferer, StreamedWindowInferer):
        raise ValueError(
            "memory can only be planned for model.inferer=dict(type='StreamedWindowInferer', ...), the config has "
            f'{type(inferer).__name__}'
        )
    limit = _any(model).options.max_memory
    first = _any(model).first_choice = getattr(model, 'first_choice', None) or (
        inferer.sw_batch_size,
        inferer.device,
        inferer.dtype,
    )
    inferer.sw_batch_size, inferer.device, inferer.dtype = first
    return plan_memory(case, inferer, _measured(model, case.channels).footprint, limit, name)


def _measured(model: nn.Module, channels: int) -> Measured:
    """What the network takes, found out once."""
    known = getattr(model, 'measured', None)
    if known is None:
        sides = [side if side > 0 else 1 for side in _any(model).inferer.roi_size]
        device = next((weight.device for weight in model.parameters()), torch.device('cpu'))
        known = _any(model).measured = measure_network(_any(model).scorer, (channels, *sides), device)
    return known


def _any(model: nn.Module) -> Any:
    return model

"""A load pipeline in little more memory than its input and its output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import (
    CropForeground,
    CropForegroundd,
    NormalizeIntensityd,
    Orientationd,
    ScaleIntensityRanged,
    Spacingd,
)
from torch import Tensor

from medctx3d.inference.grid_fetching import fetch_grid
from medctx3d.typing import Size3

_SLAB_VOXELS = 2**22  # that intensities are computed of at a time
_LINEAR = ('bilinear', 'linear', 1)
_INPUT = 'image'
_LEAN = (ScaleIntensityRanged, NormalizeIntensityd, CropForegroundd)


def run_lean(transforms: Iterable[Any], data: dict[str, Any]) -> dict[str, Any]:
    """Run the transforms of a load pipeline on a case without a label.

    MONAI's ``Orientationd`` and linear ``Spacingd`` only say which grid they want; its voxels are then fetched from
    those of the file, some planes at a time. ``ScaleIntensityRanged``, ``NormalizeIntensityd`` and ``CropForegroundd``
    go through the volume in slabs. The result is theirs up to floating point; any other transform runs as it is.

    Args:
        transforms: Built transforms, in order; the first one loads.
        data: The case's record.

    Returns:
        What the last transform gave; ``image`` is a float32 MetaTensor.
    """
    for position, transform in enumerate(transforms):
        if position and _says_where(transform):
            data = transform(data, lazy=True)
            continue
        if isinstance(data.get(_INPUT), MetaTensor):
            data[_INPUT] = fetch_grid(data[_INPUT])
        try:
            data = _run(transform, data)
        except Exception as error:
            raise RuntimeError(f'applying transform {transform}') from error  # as MONAI's Compose tells it
    if isinstance(data.get(_INPUT), MetaTensor):
        data[_INPUT] = fetch_grid(data[_INPUT])
    return data


def wanted_shape(transforms: Iterable[Any], shape: Sequence[int], affine: np.ndarray) -> tuple[Size3, bool]:
    """The grid that a load pipeline brings a volume to, before any crop.

    Args:
        transforms: Built transforms, in order; the first one loads.
        shape: Voxels of the file.
        affine: (4, 4) of the file.

    Returns:
        Voxels (X, Y, Z), and whether all transforms run lean.
    """
    # One number that is shown as a volume: only its shape is asked for.
    image = MetaTensor(torch.zeros(1, 1, 1, 1).expand(1, *shape), affine=torch.as_tensor(affine))
    data: dict[str, Any] = {_INPUT: image}
    lean = True
    for transform in list(transforms)[1:]:
        if _says_where(transform):
            data = transform(data, lazy=True)
        else:
            lean = lean and isinstance(transform, _LEAN)
    x, y, z = (int(size) for size in data[_INPUT].peek_pending_shape())
    return (x, y, z), lean


def _says_where(transform: Any) -> bool:
    """Whether all that a transform does to an image is to choose another grid."""
    if isinstance(transform, Orientationd):
        return True
    if not isinstance(transform, Spacingd) or _INPUT not in transform.keys:
        return False
    own = transform.keys.index(_INPUT)
    return transform.mode[own] in _LINEAR and transform.padding_mode[own] == 'border'


def _run(transform: Any, data: dict[str, Any]) -> dict[str, Any]:
    if getattr(transform, 'keys', ()) != (_INPUT,) and not isinstance(transform, CropForegroundd):
        return transform(data)
    if isinstance(transform, ScaleIntensityRanged):
        for slab in _slabs(data[_INPUT].as_tensor()):
            slab.copy_(torch.as_tensor(transform.scaler(slab)))
        return data
    if isinstance(transform, NormalizeIntensityd) and _from_the_volume(transform):
        _normalise(data[_INPUT].as_tensor(), transform.normalizer)
        return data
    if isinstance(transform, CropForegroundd) and transform.source_key == _INPUT and _INPUT in transform.keys:
        start, end = _foreground(data[_INPUT].as_tensor(), transform.cropper)
        mode = transform.mode[transform.keys.index(_INPUT)]
        return {**data, _INPUT: transform.cropper.crop_pad(data[_INPUT], start, end, mode)}
    return transform(data)


def _slabs(image: Tensor) -> Iterator[Tensor]:
    """Views of (C, X, Y, Z) that hold some planes each."""
    yield from image.split(_slab_planes(image), dim=1)


def _slab_planes(image: Tensor) -> int:
    return max(1, _SLAB_VOXELS // max(1, image[:, 0].numel()))


def _from_the_volume(transform: NormalizeIntensityd) -> bool:
    return transform.normalizer.subtrahend is None and transform.normalizer.divisor is None


def _normalise(image: Tensor, normalizer: Any) -> None:
    """Mean 0 and standard deviation 1 in place, of all voxels or of those that are not 0."""
    for part in image.split(1) if normalizer.channel_wise else (image,):
        count, total, squares = 0, 0.0, 0.0
        for slab in _slabs(part):
            voxels = (slab[slab != 0] if normalizer.nonzero else slab).double()
            count, total = count + voxels.numel(), total + float(voxels.sum())
        mean = total / max(1, count)
        for slab in _slabs(part):
            voxels = (slab[slab != 0] if normalizer.nonzero else slab).double()
            squares += float((voxels - mean).square_().sum())
        deviation = (squares / max(1, count)) ** 0.5 or 1.0
        for slab in _slabs(part):
            scaled = (slab - mean) / deviation
            slab.copy_(torch.where(slab != 0, scaled, slab) if normalizer.nonzero else scaled)


def _foreground(image: Tensor, cropper: CropForeground) -> tuple[Any, Any]:
    """The box that MONAI would cut out, from a mask that is made in slabs."""
    channels = slice(None) if cropper.channel_indices is None else list(cropper.channel_indices)
    mask = torch.empty((1, *image.shape[1:]), dtype=torch.bool)
    for slab, found in zip(_slabs(image), mask.split(_slab_planes(image), dim=1), strict=True):
        found.copy_(cropper.select_fn(slab[channels]).any(0, keepdim=True))
    whole = CropForeground(
        select_fn=lambda found: found,
        margin=cropper.margin,
        allow_smaller=cropper.allow_smaller,
        k_divisible=cropper.k_divisible,
    )
    return whole.compute_bounding_box(mask)

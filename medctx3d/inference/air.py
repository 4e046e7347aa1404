"""What value a pipeline gives to air."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from monai.transforms import NormalizeIntensityd, ScaleIntensityRanged


def air_value(transforms: Iterable[Any]) -> float | None:
    """The value that air has after a pipeline, as far as its last intensity transform tells.

    A clipped range gives air, and all else at or below its lower end, that end's value; a normalisation of non-zero
    voxels leaves zeros as they are.

    Args:
        transforms: Built transforms, in order.

    Returns:
        The value, or None where the pipeline does not know it.
    """
    value: float | None = None
    for transform in transforms:
        if isinstance(transform, ScaleIntensityRanged):
            scaler = transform.scaler
            value = float(scaler.b_min) if scaler.clip and scaler.b_min is not None else None
        elif isinstance(transform, NormalizeIntensityd):
            value = 0.0 if transform.normalizer.nonzero else None
        elif 'Intensity' in type(transform).__name__:
            value = None
    return value

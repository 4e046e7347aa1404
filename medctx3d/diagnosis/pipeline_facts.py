"""What a config does with the images of a split, as far as the checks must know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from medctx3d.datasets.disk_space import target_spacing
from medctx3d.datasets.intensity_window import intensity_window, transform_name

_NORMALISING = ('NormalizeIntensity', 'ScaleIntensityd', 'ScaleIntensityRangePercentiles', 'HistogramNormalize')
_SCALING = ('Intensity', 'Histogram', 'Clip', 'Threshold')


class PipelineFacts(NamedTuple):
    """Of one split's ``load_pipeline``, ``pipeline`` and ``store``.

    Attributes:
        window: Intensities that are scaled, None without a window.
        reorients: Whether volumes are turned to one orientation.
        spacing: Voxel edges in mm that volumes are resampled to, None where they are not.
        normalises: Whether intensities are normalised by case, so that their scale does not matter.
        scales: Whether intensities are changed at all before they are stored.
        crop: Voxels of a training crop, None without one.
        image_dtype: Of the store, empty without one.
    """

    window: tuple[float, float] | None
    reorients: bool
    spacing: tuple[float, ...] | None
    normalises: bool
    scales: bool
    crop: tuple[int, ...] | None
    image_dtype: str

    @classmethod
    def of(cls, dataset: Mapping[str, Any]) -> PipelineFacts:
        """Read from the config of a data set."""
        steps = [step for step in dataset.get('load_pipeline') or () if isinstance(step, dict)]
        names = [transform_name(step) for step in steps]
        spacing = target_spacing(steps)
        store = dataset.get('store')
        crops = [
            tuple(step['size'])
            for step in dataset.get('pipeline') or ()
            if isinstance(step, Mapping)
            and transform_name(step) == 'ForegroundCrop'
            and len(step.get('size') or ()) == 3
        ]
        return cls(
            window=intensity_window(steps),
            reorients=any(name.startswith('Orientation') for name in names),
            spacing=tuple(float(edge) for edge in spacing) if spacing is not None else None,
            normalises=any(name.startswith(_NORMALISING) for name in names),
            scales=any(word in name for name in names for word in _SCALING),
            crop=crops[0] if crops else None,
            image_dtype=store.get('image_dtype', 'float16') if store is not None else '',
        )

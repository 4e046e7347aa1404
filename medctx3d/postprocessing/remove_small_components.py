"""Specks that are too small to be what they are called."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medctx3d.postprocessing.postprocessing_step import PostprocessingStep
from medctx3d.postprocessing.regions import (
    class_boxes,
    common_box,
    erase_components,
    is_any_of,
    neighbourhood,
    voxel_volume,
)
from medctx3d.registry import POSTPROCESSING


@POSTPROCESSING.register_module()
class RemoveSmallComponents(PostprocessingStep):
    """Turn connected components below a volume in mm^3 into background, each class on its own.

    Args:
        classes: Class ids.
        min_volume: mm^3; a component of exactly this volume stays.
        connectivity: Neighbours of a voxel: 6, 18 or 26.

    Raises:
        ValueError: An argument is outside its range.
    """

    def __init__(self, classes: Sequence[int], *, min_volume: float, connectivity: int = 26) -> None:
        super().__init__(classes)
        if not 0 < min_volume < float('inf'):
            raise ValueError(f'RemoveSmallComponents: min_volume must be a volume above 0 mm^3, got {min_volume}')
        self.min_volume = min_volume
        self.neighbours = neighbourhood(connectivity, type(self).__name__)

    def change(self, labels: np.ndarray, affine: np.ndarray) -> None:
        """Drop small components in place."""
        # A whole number of voxels whose volume differs from the limit by rounding alone has the limit's volume.
        fewest = self.min_volume / voxel_volume(affine) * (1 - 1e-9)
        boxes = class_boxes(labels)
        for label in self.classes:
            box = common_box(boxes, (label,))
            if box is not None:
                mask = is_any_of(labels[box], (label,))
                erase_components(labels[box], mask, self.neighbours, lambda numbers, sizes: sizes < fewest)

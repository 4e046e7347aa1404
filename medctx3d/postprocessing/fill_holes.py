"""Background that a class encloses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medctx3d.postprocessing.postprocessing_step import PostprocessingStep
from medctx3d.postprocessing.regions import class_boxes, common_box, solid
from medctx3d.registry import POSTPROCESSING


@POSTPROCESSING.register_module()
class FillHoles(PostprocessingStep):
    """Give background that a class encloses to that class; other classes inside stay what they are.

    Enclosed is a voxel from which no path across voxel faces (6 neighbours) leads past the class and out of the
    volume, so a class that is connected across corners (26 neighbours) encloses as well. A pocket that is open at the
    edge of the volume is no hole. Where classes enclose one another, the earlier in ``classes`` has the voxel.

    Args:
        classes: Class ids.

    Raises:
        ValueError: ``classes`` are no class ids.
    """

    def __init__(self, classes: Sequence[int]) -> None:
        super().__init__(classes)

    def change(self, labels: np.ndarray, affine: np.ndarray) -> None:
        """Fill in place; the affine is not needed."""
        boxes = class_boxes(labels)
        for label in self.classes:
            box = common_box(boxes, (label,))
            if box is not None:
                inside = labels[box]
                inside[solid(inside == label) & (inside == 0)] = label

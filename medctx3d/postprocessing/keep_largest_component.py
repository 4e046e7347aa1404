"""Organs of which a body has one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medctx3d.postprocessing.postprocessing_step import PostprocessingStep
from medctx3d.postprocessing.regions import class_boxes, common_box, erase_components, is_any_of, neighbourhood
from medctx3d.registry import POSTPROCESSING


@POSTPROCESSING.register_module()
class KeepLargestComponent(PostprocessingStep):
    """Keep the largest connected component of each class, or of several classes as one body.

    All others become background. Of components of one size, the one stays that has the first voxel in (x, y, z) order.

    Args:
        classes: Class ids, each on its own.
        together: Treat the classes as one body: all voxels of any of them, touching each other, are one component.
        connectivity: Neighbours of a voxel: 6, 18 or 26.

    Raises:
        ValueError: An argument is outside its range.
    """

    def __init__(self, classes: Sequence[int], *, together: bool = False, connectivity: int = 26) -> None:
        super().__init__(classes)
        self.bodies = (self.classes,) if together else tuple((label,) for label in self.classes)
        self.neighbours = neighbourhood(connectivity, type(self).__name__)

    def change(self, labels: np.ndarray, affine: np.ndarray) -> None:
        """Drop all components but the largest, in place; the affine is not needed."""
        boxes = class_boxes(labels)
        for body in self.bodies:
            box = common_box(boxes, body)
            if box is not None:
                mask = is_any_of(labels[box], body)
                erase_components(labels[box], mask, self.neighbours, _all_but_the_largest)


def _all_but_the_largest(numbers: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return np.arange(len(sizes)) != sizes.argmax()

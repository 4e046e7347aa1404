"""What can only lie on something else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from medctx3d.postprocessing.postprocessing_step import PostprocessingStep, check_classes
from medctx3d.postprocessing.regions import class_boxes, common_box, erase_components, is_any_of, neighbourhood
from medctx3d.registry import POSTPROCESSING


@POSTPROCESSING.register_module()
class RemoveDetached(PostprocessingStep):
    """Turn components of some classes that touch none of others into background: no kidney tumour without a kidney.

    Args:
        classes: Class ids; together they form the components, so that parts of one tumour hold each other.
        anchors: Class ids, one of which a component must touch.
        connectivity: Neighbours of a voxel, inside a component and between it and an anchor: 6, 18 or 26.

    Raises:
        ValueError: An argument is outside its range, or a class is its own anchor.
    """

    def __init__(self, classes: Sequence[int], *, anchors: Sequence[int], connectivity: int = 26) -> None:
        super().__init__(classes)
        self.anchors = check_classes(anchors, 'RemoveDetached: anchors')
        own = set(self.classes).intersection(self.anchors)
        if own:
            raise ValueError(f'RemoveDetached: a class cannot be its own anchor, got {sorted(own)} in both')
        self.neighbours = neighbourhood(connectivity, type(self).__name__)

    def change(self, labels: np.ndarray, affine: np.ndarray) -> None:
        """Drop detached components in place; the affine is not needed."""
        box = common_box(class_boxes(labels), self.classes, margin=1)
        if box is None:
            return
        inside = labels[box]
        beside = ndimage.binary_dilation(is_any_of(inside, self.anchors), self.neighbours)

        def detached(numbers: np.ndarray, sizes: np.ndarray) -> np.ndarray:
            gone = np.ones(len(sizes), dtype=bool)
            gone[numbers[beside]] = False
            return gone

        erase_components(inside, is_any_of(inside, self.classes), self.neighbours, detached)

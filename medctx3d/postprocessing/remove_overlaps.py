"""Pieces of one organ inside another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medctx3d.postprocessing.postprocessing_step import PostprocessingStep
from medctx3d.postprocessing.regions import class_boxes, solid
from medctx3d.registry import POSTPROCESSING


@POSTPROCESSING.register_module()
class RemoveOverlaps(PostprocessingStep):
    """Where the solid shapes of classes overlap, give the voxels to the class that comes first.

    In a label volume no voxel has two classes, yet organs overlap: a piece of one lies enclosed in another. The solid
    shape of a class is the class with all that it encloses, as in :class:`FillHoles`. A voxel that has one of
    ``classes`` takes the first of them whose solid shape holds it; background and all other classes stay.

    Args:
        classes: Class ids by priority. ``(1, 2)`` turns pieces of 2 inside 1 into 1; a tumour that belongs inside an
            organ comes before it, and both keep their voxels.

    Raises:
        ValueError: ``classes`` are not at least two class ids.
    """

    def __init__(self, classes: Sequence[int]) -> None:
        super().__init__(classes)
        if len(self.classes) < 2:
            raise ValueError(f'RemoveOverlaps: classes must be two or more, by priority, got {classes!r}')

    def change(self, labels: np.ndarray, affine: np.ndarray) -> None:
        """Reassign in place; the affine is not needed."""
        boxes = class_boxes(labels)
        given = {label: solid(labels[boxes[label]] == label) for label in self.classes if label in boxes}
        listed = {label: np.isin(labels[boxes[label]], self.classes) for label in given}
        for label in reversed(given):
            labels[boxes[label]][given[label] & listed[label]] = label

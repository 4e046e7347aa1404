"""The interface of a post-processing step."""

from __future__ import annotations

import abc
from collections.abc import Sequence

import numpy as np


class PostprocessingStep(abc.ABC):
    """Change a predicted label volume. Keeps no state, invents no class, looks at no truth.

    Args:
        classes: Class ids that the step works on, background (0) excluded.

    Raises:
        ValueError: There is no class, one is named twice, or an id is no whole number above 0.
    """

    def __init__(self, classes: Sequence[int]) -> None:
        self.classes = check_classes(classes, f'{type(self).__name__}: classes')

    def __call__(self, labels: np.ndarray, affine: np.ndarray) -> np.ndarray:
        """Run the step.

        Args:
            labels: (X, Y, Z) integers, class ids on any grid.
            affine: (4, 4) voxel index to world in mm.

        Returns:
            (X, Y, Z), a new array of the same type.

        Raises:
            ValueError: ``labels`` is not three-dimensional or not of integers.
        """
        if labels.ndim != 3 or labels.dtype.kind not in 'iu':
            raise ValueError(
                f'{type(self).__name__}: labels must be integers (X, Y, Z), got {labels.dtype} {labels.shape}'
            )
        changed = np.array(labels)
        self.change(changed, affine)
        return changed

    @abc.abstractmethod
    def change(self, labels: np.ndarray, affine: np.ndarray) -> None:
        """Change ``labels`` (X, Y, Z) in place; arguments as in calling the step."""


def check_classes(classes: Sequence[int], name: str) -> tuple[int, ...]:
    """Class ids as given, or a ValueError that names the argument."""
    ids = tuple(classes)
    if not ids or len(set(ids)) < len(ids) or not all(isinstance(label, int) and label > 0 for label in ids):
        raise ValueError(f'{name} must be distinct class ids above 0, such as (1, 2), got {classes!r}')
    return ids

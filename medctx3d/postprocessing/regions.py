"""Boxes, connected components and solid shapes of the classes of a label volume."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from scipy import ndimage

Box = tuple[slice, ...]
# Neighbours of a voxel by the number of axes along which it may differ: across faces, edges and corners.
_AXES_CROSSED = {6: 1, 18: 2, 26: 3}


def neighbourhood(connectivity: int, step: str) -> np.ndarray:
    """(3, 3, 3) bool of the voxels that count as neighbours.

    Args:
        connectivity: 6 (faces), 18 (and edges) or 26 (and corners).
        step: Who asks, for the message.

    Raises:
        ValueError: Another connectivity.
    """
    if connectivity not in _AXES_CROSSED:
        raise ValueError(f'{step}: connectivity must be 6, 18 or 26 neighbours, got {connectivity!r}')
    return ndimage.generate_binary_structure(3, _AXES_CROSSED[connectivity])


def class_boxes(labels: np.ndarray) -> dict[int, Box]:
    """Smallest box around each class above 0 that occurs in ``labels`` (X, Y, Z)."""
    found = ndimage.find_objects(labels)
    return {label: box for label, box in enumerate(found, start=1) if box is not None}


def common_box(boxes: dict[int, Box], classes: Iterable[int], *, margin: int = 0) -> Box | None:
    """Smallest box around several classes, ``margin`` voxels wider; None where none of them occurs."""
    there = [boxes[label] for label in classes if label in boxes]
    if not there:
        return None
    return tuple(
        slice(max(0, min(side.start for side in sides) - margin), max(side.stop for side in sides) + margin)
        for sides in zip(*there, strict=True)
    )


def erase_components(
    inside: np.ndarray, mask: np.ndarray, neighbours: np.ndarray, gone: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> None:
    """Turn some connected components of ``mask`` into background, in place.

    Args:
        inside: (x, y, z) class ids.
        mask: (x, y, z) bool, the voxels whose components count.
        neighbours: From :func:`neighbourhood`.
        gone: From the numbers (x, y, z) of the components, in the order of their first voxels from 1, and the voxels
            of each (0 of number 0), to one bool per number: whether it goes.
    """
    numbers, count = ndimage.label(mask, neighbours)
    # A class fills little of its box: all but the labelling looks at its own voxels only.
    own = numbers[mask]
    sizes = np.bincount(own, minlength=count + 1)
    values = inside[mask]
    values[gone(numbers, sizes)[own]] = 0
    inside[mask] = values


def solid(mask: np.ndarray) -> np.ndarray:
    """``mask`` (x, y, z) with its cavities: all from which no path across faces leads out of the array."""
    return ndimage.binary_fill_holes(mask)


def voxel_volume(affine: np.ndarray) -> float:
    """Volume of a voxel in mm^3, sheared grids included."""
    return float(abs(np.linalg.det(np.asarray(affine, dtype=float)[:3, :3])))


def is_any_of(labels: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Where ``labels`` (x, y, z) has one of some classes."""
    return labels == classes[0] if len(classes) == 1 else np.isin(labels, classes)

"""Orthogonal planes of a volume, as a radiologist looks at them."""

from __future__ import annotations

from typing import NamedTuple

import nibabel as nib
import numpy as np


class Plane(NamedTuple):
    """How one plane of a RAS+ volume is shown.

    Attributes:
        name: Of the plane.
        axis: Axis that the plane is perpendicular to.
        across: Axis that runs from left to right on the picture, reversed.
        up: Axis that runs from bottom to top.
        letters: Sides of the patient at the picture's left, right, top and bottom.
    """

    name: str
    axis: int
    across: int
    up: int
    letters: str


# The patient's right is at the viewer's left, and in the side view the face looks to the left.
PLANES = (
    Plane('axial', 2, 0, 1, 'RLAP'),
    Plane('coronal', 1, 0, 2, 'RLSI'),
    Plane('sagittal', 0, 1, 2, 'APSI'),
)


def to_ras(volume: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Turn and flip the axes of (X, Y, Z) so that they point closest to right, anterior and superior."""
    return nib.orientations.apply_orientation(volume, nib.orientations.io_orientation(affine))


def ras_spacing(affine: np.ndarray) -> np.ndarray:
    """Edge lengths in mm along right, anterior and superior, shape (3,)."""
    orientation = nib.orientations.io_orientation(affine)
    edges = np.linalg.norm(np.asarray(affine, dtype=float)[:3, :3], axis=0)
    return edges[np.argsort(orientation[:, 0])]


def cut(volume: np.ndarray, plane: Plane, index: int) -> np.ndarray:
    """Picture (rows, columns) of one plane of a RAS+ volume, first row on top."""
    picture = np.moveaxis(volume, plane.axis, 0)[index]  # (across, up), since across < up in every plane
    return picture[::-1, ::-1].T


def richest_slices(labels: np.ndarray | None, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Index along each axis of the slice that shows most.

    A class counts with the square root of its area, so that several small organs win over one large one.

    Args:
        labels: (X, Y, Z) class ids, 0 = background, or None: the middle slices.
        shape: (X, Y, Z).
    """
    x, y, z = (size // 2 for size in shape)
    if labels is None or not labels.any():
        return x, y, z
    best = []
    for axis in range(3):
        scores = [np.sqrt(np.bincount(layer.ravel())[1:]).sum() for layer in np.moveaxis(labels, axis, 0)]
        best.append(int(np.argmax(scores)))
    return best[0], best[1], best[2]

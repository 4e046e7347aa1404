"""Measurements of labelled volumes in mm and mL, in the frame of the kidneys."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from .generate import Phantom

KIDNEYS = (2, 3)


class Frame(NamedTuple):
    """Voxel size and origin of the anatomical frame of one phantom.

    Args:
        spacing: Voxel size (3,), mm.
        origin: Midpoint of the kidney centroids (3,), in mm from the centre of voxel 0.
        voxel_ml: Volume of a voxel, mL.
    """

    spacing: np.ndarray
    origin: np.ndarray
    voxel_ml: float


def frame_of(phantom: Phantom) -> Frame:
    """Frame of a phantom; where a kidney is missing, the origin of its affine stands in."""
    spacing = np.diagonal(phantom.affine)[:3].copy()
    centres = [_centroid(phantom.label == kidney) * spacing for kidney in KIDNEYS if (phantom.label == kidney).any()]
    origin = np.mean(centres, axis=0) if len(centres) == 2 else -phantom.affine[:3, 3]
    return Frame(spacing, origin, float(np.prod(spacing)) / 1000)


def _centroid(mask: np.ndarray) -> np.ndarray:
    return np.array([coordinate.mean() for coordinate in np.nonzero(mask)])


def organ_points(phantom: Phantom, organ: int) -> np.ndarray:
    """Voxel centres (V, 3) of an organ in the frame of the kidneys, mm."""
    frame = frame_of(phantom)
    return np.argwhere(phantom.label == organ) * frame.spacing - frame.origin


def volumes_ml(phantom: Phantom) -> np.ndarray:
    """Volume of every label 0 to 13 in mL."""
    return np.bincount(phantom.label.ravel(), minlength=14) * frame_of(phantom).voxel_ml


def axes_mm(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Full principal axes (3,) in mm, longest first, and the direction (3,) of the longest."""
    values, vectors = np.linalg.eigh(np.cov(points.T))
    return 2 * np.sqrt(5 * values[::-1]), vectors[:, -1]


def contacts(regions: np.ndarray) -> np.ndarray:
    """Number of voxel faces that each pair of regions shares.

    Args:
        regions: Region ids below 256, shape (X, Y, Z).

    Returns:
        Symmetric table (256, 256).
    """
    table = np.zeros((256, 256), int)
    for axis in range(3):
        first = np.moveaxis(regions, axis, 0)[:-1].ravel()
        second = np.moveaxis(regions, axis, 0)[1:].ravel()
        differ = first != second
        np.add.at(table, (first[differ], second[differ]), 1)
    return table + table.T


def outside_distance(phantom: Phantom) -> np.ndarray:
    """Distance (mm) of every voxel inside the body from the air around it."""
    padded = np.pad(phantom.tissue != 0, ((1, 1), (1, 1), (0, 0)))
    return ndimage.distance_transform_edt(padded, sampling=frame_of(phantom).spacing)[1:-1, 1:-1]


def surface(mask: np.ndarray) -> np.ndarray:
    """Voxels of a mask with a face to its outside."""
    return mask & ~ndimage.binary_erosion(mask)

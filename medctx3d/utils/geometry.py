"""Bring label volumes from the grid the network works on back to the grid of a file."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

# Voxels by which an index may drift across the whole volume before the grids no longer count as parallel.
_MAX_DRIFT = 0.01
# Decimals of a voxel index that are trusted: affines come from float32 headers, and ties must fall the same way.
_DECIMALS = 3
# Voxels that one slab of a general resampling may hold: 64 MB of coordinates inside scipy.
_SLAB_VOXELS = 2**23


class GridMap(NamedTuple):
    """How a grid lies in another one whose axes are parallel to its own.

    Attributes:
        shape: Voxels (X0, Y0, Z0) of the wanted grid.
        axes: The wanted axis that runs along each axis of the working grid.
        positions: For each working axis the working voxel index, with fractions, of every plane of the wanted grid.
    """

    shape: tuple[int, int, int]
    axes: tuple[int, int, int]
    positions: tuple[np.ndarray, np.ndarray, np.ndarray]

    def inside(self, axis: int, size: int) -> slice:
        """The wanted planes that lie in a working axis of ``size`` voxels, their outermost halves included."""
        position = self.positions[axis]
        found = np.flatnonzero((position >= -0.5) & (position <= size - 0.5))
        return slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, 0)  # monotonic, so one run


def grid_map(
    affine: np.ndarray, source_affine: np.ndarray, source_shape: Sequence[int], *, decimals: int = _DECIMALS
) -> GridMap | None:
    """How a wanted grid lies in the working grid, or None where the two are turned against each other.

    Args:
        affine: (4, 4) working voxel index to world in mm.
        source_affine: (4, 4) voxel index of the wanted grid to world in mm.
        source_shape: (X0, Y0, Z0) voxels of the wanted grid.
        decimals: Decimals of the positions that are kept.

    Raises:
        ValueError: The shape has not three sizes, or an affine has no inverse.
    """
    return _parallel_map(_index_map(affine, source_affine), _three(source_shape), decimals)


def to_source_grid(
    labels: np.ndarray, affine: np.ndarray, source_affine: np.ndarray, source_shape: Sequence[int]
) -> np.ndarray:
    """Put class ids onto another grid, each voxel taking the value of the nearest one.

    Where the axes of both grids are parallel (any permutation, flip, crop, padding or change of spacing) every axis
    is looked up by index, and with equal spacing the answer is exact. Grids turned against each other are resampled
    slab by slab, which bounds the memory.

    Args:
        labels: (X, Y, Z) class ids on the working grid.
        affine: (4, 4) working voxel index to world in mm.
        source_affine: (4, 4) voxel index of the wanted grid to world in mm.
        source_shape: (X0, Y0, Z0) voxels of the wanted grid.

    Returns:
        (X0, Y0, Z0) in the dtype of ``labels``; 0 outside the working grid. ``labels`` themselves where the grids are
        one.

    Raises:
        ValueError: ``labels`` is not three-dimensional, the shape is not, or an affine has no inverse.
    """
    labels = np.asarray(labels)
    if labels.ndim != 3:
        raise ValueError(f'labels must be (X, Y, Z), got {labels.shape}')
    shape = _three(source_shape)
    index_map = _index_map(affine, source_affine)
    if labels.shape == shape and np.array_equal(affine, source_affine):
        return labels
    found = _parallel_map(index_map, shape, _DECIMALS)
    return _resample(labels, index_map, shape) if found is None else _look_up(labels, found)


def spacing_of(affine: np.ndarray) -> tuple[float, float, float]:
    """Voxel edge lengths in mm of a (4, 4) affine."""
    x, y, z = np.linalg.norm(np.asarray(affine, dtype=float)[:3, :3], axis=0)
    return float(x), float(y), float(z)


def corner_distance(one: np.ndarray, other: np.ndarray, shape: Sequence[int]) -> float:
    """Farthest in mm that two (4, 4) affines place a corner of a volume of (X, Y, Z, ...) voxels apart."""
    corners = np.array([(*corner, 1) for corner in itertools.product(*((-0.5, n - 0.5) for n in shape[:3]))])
    return float(np.linalg.norm(corners @ (np.asarray(one) - np.asarray(other)).T, axis=1).max())


def _checked(affine: np.ndarray, name: str) -> np.ndarray:
    matrix = np.asarray(affine, dtype=float)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or np.linalg.det(matrix[:3, :3]) == 0:
        raise ValueError(f'{name} must be an invertible matrix of shape (4, 4), got {matrix.tolist()}')
    return matrix


def _three(sizes: Sequence[int]) -> tuple[int, int, int]:
    shape = tuple(int(size) for size in sizes)
    if len(shape) != 3:
        raise ValueError(f'source_shape must be three sizes, got {shape}')
    return shape


def _index_map(affine: np.ndarray, source_affine: np.ndarray) -> np.ndarray:
    return np.linalg.inv(_checked(affine, 'affine')) @ _checked(source_affine, 'source_affine')


def _parallel_map(index_map: np.ndarray, shape: tuple[int, int, int], decimals: int) -> GridMap | None:
    x, y, z = (int(axis) for axis in np.abs(index_map[:3, :3]).argmax(axis=1))
    axes = (x, y, z)
    if sorted(axes) != [0, 1, 2]:
        return None
    rest = np.abs(index_map[:3, :3])
    rest[np.arange(3), axes] = 0
    if not (rest @ (np.asarray(shape) - 1.0) < _MAX_DRIFT).all():
        return None

    def position(axis: int) -> np.ndarray:
        return np.round(index_map[axis, axes[axis]] * np.arange(shape[axes[axis]]) + index_map[axis, 3], decimals)

    return GridMap(shape, axes, (position(0), position(1), position(2)))


def _look_up(labels: np.ndarray, grid: GridMap) -> np.ndarray:
    """Nearest voxels where every working index depends on one wanted index only."""
    wanted: list[slice] = [slice(0)] * 3
    found: list[np.ndarray] = []
    for axis, source in enumerate(grid.axes):
        # A voxel reaches half an edge beyond its centre, so the outermost half belongs to the grid as well.
        wanted[source] = grid.inside(axis, labels.shape[axis])
        position = grid.positions[axis][wanted[source]]
        found.append(np.floor(position + 0.5).astype(np.intp).clip(0, labels.shape[axis] - 1))
    out = np.zeros(grid.shape, dtype=labels.dtype)
    order = np.argsort(grid.axes)  # working axes in the order of the wanted axes
    out[tuple(wanted)] = labels[np.ix_(*found)].transpose(order)
    return out


def _resample(labels: np.ndarray, index_map: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Nearest voxels of a turned grid, some planes of the wanted grid at a time."""
    out = np.zeros(shape, dtype=labels.dtype)
    planes = max(1, _SLAB_VOXELS // max(1, shape[1] * shape[2]))
    for start in range(0, shape[0], planes):
        slab = out[start : start + planes]
        offset = index_map[:3, 3] + index_map[:3, 0] * start
        ndimage.affine_transform(labels, index_map[:3, :3], offset, slab.shape, slab, order=0, mode='grid-constant')
    return out

"""Bring label volumes from the grid the network works on back to the grid of a file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

# Voxels by which an index may drift across the whole volume before the grids no longer count as parallel.
_MAX_DRIFT = 0.01
# Decimals of a voxel index that are trusted: affines come from float32 headers, and ties must fall the same way.
_DECIMALS = 3
# Voxels that one slab of a general resampling may hold: 64 MB of coordinates inside scipy.
_SLAB_VOXELS = 2**23


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
        (X0, Y0, Z0) in the dtype of ``labels``; 0 outside the working grid.

    Raises:
        ValueError: ``labels`` is not three-dimensional, the shape is not, or an affine has no inverse.
    """
    labels = np.asarray(labels)
    shape = tuple(int(size) for size in source_shape)
    if labels.ndim != 3 or len(shape) != 3:
        raise ValueError(f'labels must be (X, Y, Z) and source_shape three sizes, got {labels.shape} and {shape}')
    index_map = np.linalg.inv(_checked(affine, 'affine')) @ _checked(source_affine, 'source_affine')
    axes = _parallel_axes(index_map[:3, :3], shape)
    if axes is None:
        return _resample(labels, index_map, shape)
    return _look_up(labels, index_map, axes, shape)


def spacing_of(affine: np.ndarray) -> tuple[float, float, float]:
    """Voxel edge lengths in mm of a (4, 4) affine."""
    x, y, z = np.linalg.norm(np.asarray(affine, dtype=float)[:3, :3], axis=0)
    return float(x), float(y), float(z)


def _checked(affine: np.ndarray, name: str) -> np.ndarray:
    matrix = np.asarray(affine, dtype=float)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or np.linalg.det(matrix[:3, :3]) == 0:
        raise ValueError(f'{name} must be an invertible matrix of shape (4, 4), got {matrix.tolist()}')
    return matrix


def _parallel_axes(linear: np.ndarray, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Wanted axis that drives each working axis, or None where the grids are turned against each other."""
    axes = np.abs(linear).argmax(axis=1)
    if sorted(axes) != [0, 1, 2]:
        return None
    rest = np.abs(linear)
    rest[np.arange(3), axes] = 0
    drift = rest @ (np.asarray(shape) - 1.0)
    return tuple(int(axis) for axis in axes) if (drift < _MAX_DRIFT).all() else None


def _look_up(labels: np.ndarray, index_map: np.ndarray, axes: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Nearest voxels where every working index depends on one wanted index only."""
    wanted: list[slice] = [slice(0)] * 3
    found: list[np.ndarray] = []
    for axis, source in enumerate(axes):
        position = np.round(index_map[axis, source] * np.arange(shape[source]) + index_map[axis, 3], _DECIMALS)
        # A voxel reaches half an edge beyond its centre, so the outermost half belongs to the grid as well.
        inside = np.flatnonzero((position >= -0.5) & (position <= labels.shape[axis] - 0.5))
        nearest = np.floor(position[inside] + 0.5).astype(np.intp).clip(0, labels.shape[axis] - 1)
        found.append(nearest)
        if inside.size:  # positions are monotonic, so those inside are one run
            wanted[source] = slice(inside[0], inside[-1] + 1)
    out = np.zeros(shape, dtype=labels.dtype)
    order = np.argsort(axes)  # working axes in the order of the wanted axes
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

"""Felzenszwalb and Huttenlocher's graph-based segmentation (IJCV 2004) of volumes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

NO_NUMBA = (
    'regions in 3D are grown by compiled code, and numba, which compiles it, cannot be imported ({error}): '
    'pip install numba, or make regions in 2D (mode 2d)'
)


def felzenszwalb_3d(
    image: np.ndarray,
    spacing: Sequence[float],
    *,
    scale: float,
    min_size: float,
    inside: np.ndarray | None = None,
    distance_exponent: float = 0.5,
) -> np.ndarray:
    r"""Grow regions in a volume, exactly as the algorithm is defined.

    The graph joins each voxel to its six neighbours, with the weight

    .. math:: w(p, q) = |I_p - I_q| \left(\frac{d_{pq}}{d_\min}\right)^{\beta}

    where :math:`d_{pq}` is the distance of the two centres in mm, :math:`d_\min` the smallest voxel edge and
    :math:`\beta` the ``distance_exponent``: the same difference counts more across thick slices, where the chance
    that a border lies between the two centres is larger.

    Edges are taken by growing weight; one between two components joins them unless it is heavier than the largest edge
    inside either (of its minimum spanning tree) by more than ``scale`` divided by that component's volume in mm^3.
    Then edges are taken once more in the same order, and those of which one side is smaller than ``min_size`` join.
    Edges of equal weight are taken in the order of their first voxels.

    The edges of the minimum spanning tree of the whole graph would not do: an edge outside of it can join two
    components whose path in the tree leads through a third that refuses both.

    Args:
        image: (X, Y, Z) intensities, smoothed as wanted.
        spacing: Voxel edges (X, Y, Z) in mm.
        scale: k, in intensity times mm^3; larger ones give larger regions.
        min_size: Smallest region in mm^3; a part of ``inside`` that is smaller and touches no other stays.
        inside: (X, Y, Z) bool, where regions are grown; None: everywhere.
        distance_exponent: beta; 0 compares intensities whatever their distance.

    Returns:
        (X, Y, Z) int32: ids from 1, in the order of the regions' first voxels, 0 outside.

    Raises:
        ValueError: Not three axes, a shape that differs, or a parameter outside its range.
        ModuleNotFoundError: numba is not installed.
    """
    image = np.ascontiguousarray(image, dtype=np.float32)
    edges_mm = np.asarray(spacing, dtype=np.float64)
    if image.ndim != 3 or edges_mm.shape != (3,) or not (edges_mm > 0).all():
        raise ValueError(
            f'felzenszwalb_3d takes (X, Y, Z) and three positive voxel edges, got shape {image.shape} and {spacing}'
        )
    if scale < 0 or min_size < 0:
        raise ValueError(f'scale and min_size must not be negative, got {scale} and {min_size}')
    body = np.ones(image.shape, bool) if inside is None else np.ascontiguousarray(inside, dtype=bool)
    if body.shape != image.shape:
        raise ValueError(f'inside must have the shape of the image {image.shape}, got {body.shape}')
    if image.size > np.iinfo(np.int32).max // 3:
        raise ValueError(f'a volume of {image.shape} voxels has more edges than 32 bits count: crop it')
    factors = ((edges_mm / edges_mm.min()) ** distance_exponent).astype(np.float32)
    edges, weights = _compiled('list_edges')(image, body, factors)
    order = np.argsort(weights, kind='stable')
    edges, weights = edges[order], weights[order]
    voxel = float(np.prod(edges_mm))
    smallest = math.ceil(min_size / voxel - 1e-6)  # rounding must not ask for a voxel more
    parent = _compiled('join_edges')(edges, weights, image.shape, scale / voxel, smallest)
    return _compiled('number_regions')(parent, body.ravel()).reshape(image.shape)


def list_edges(image: np.ndarray, inside: np.ndarray, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges as three times the flat index of the first voxel plus the axis, and their weights."""
    shape = image.shape
    count = 0
    for x in range(shape[0]):
        for y in range(shape[1]):
            for z in range(shape[2]):
                if inside[x, y, z]:
                    count += x + 1 < shape[0] and inside[x + 1, y, z]
                    count += y + 1 < shape[1] and inside[x, y + 1, z]
                    count += z + 1 < shape[2] and inside[x, y, z + 1]
    edges, weights = np.empty(count, np.int32), np.empty(count, np.float32)
    at = 0
    for x in range(shape[0]):
        for y in range(shape[1]):
            for z in range(shape[2]):
                if not inside[x, y, z]:
                    continue
                voxel = (x * shape[1] + y) * shape[2] + z
                for axis in range(3):
                    i, j, k = x + (axis == 0), y + (axis == 1), z + (axis == 2)
                    if i < shape[0] and j < shape[1] and k < shape[2] and inside[i, j, k]:
                        edges[at] = 3 * voxel + axis
                        weights[at] = abs(image[x, y, z] - image[i, j, k]) * factors[axis]
                        at += 1
    return edges, weights


def join_edges(edges: np.ndarray, weights: np.ndarray, shape: Any, scale: float, min_size: int) -> np.ndarray:
    """Union-find over sorted edges, by the rule and then for small regions, sizes in voxels; a parent per voxel."""
    parent = np.arange(shape[0] * shape[1] * shape[2]).astype(np.int32)
    size = np.ones(len(parent), np.int32)
    allowed = np.full(len(parent), scale, np.float64)  # of a root: the heaviest edge inside plus scale / size
    steps = (shape[1] * shape[2], shape[2], 1)
    for by_rule in (True, False):
        for at in range(len(edges)):
            one = edges[at] // 3
            other = one + steps[edges[at] % 3]
            while parent[one] != one:
                parent[one] = parent[parent[one]]
                one = parent[one]
            while parent[other] != other:
                parent[other] = parent[parent[other]]
                other = parent[other]
            if one == other:
                continue
            if by_rule and weights[at] > min(allowed[one], allowed[other]):
                continue
            if not by_rule and min(size[one], size[other]) >= min_size:
                continue
            if size[one] < size[other]:
                one, other = other, one
            parent[other] = one
            size[one] += size[other]
            allowed[one] = weights[at] + scale / size[one]
    return parent


def number_regions(parent: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Ids from 1 in the order of first voxels, 0 outside."""
    found = np.zeros(len(parent), np.int32)
    ids = np.zeros(len(parent), np.int32)
    count = 0
    for voxel in range(len(parent)):
        if not inside[voxel]:
            continue
        root = voxel
        while parent[root] != root:
            root = parent[root]
        if ids[root] == 0:
            count += 1
            ids[root] = count
        found[voxel] = ids[root]
    return found


@lru_cache
def _compiled(name: str) -> Callable[..., Any]:
    """A function of this file, compiled; later processes find the compiled code on disk."""
    try:
        import numba
    except ImportError as error:
        raise ModuleNotFoundError(NO_NUMBA.format(error=error), name='numba') from None
    return numba.njit(cache=True)(globals()[name])

"""Surfaces of two masks and the distances between them, in mm.

Which points make a surface is a rule with a name, for the packages of the field differ in it. Distances are those from
each point to the nearest point of the other surface, found with a k-d tree: a surface has few points beside the box
around it, so this is quicker than a distance map of the box, and equal to it.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from types import ModuleType
from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

SURFACE_RULES: dict[str, str] = {
    'area': (
        'Surface elements between voxels, each weighted by its area in mm^2; where an organ touches the border of the '
        'volume, the border is its surface. HD95 is the larger of the two 95th percentiles over area. As in the '
        'package surface-distance.'
    ),
    'border': (
        'Voxels of the organ with a face neighbour outside of it, or on the border of the volume; each counts once. '
        'HD95 is the larger of the two 95th percentiles, interpolated. As in MONAI.'
    ),
    'border-pooled': (
        'As border, but HD95 is the 95th percentile of the distances of both surfaces taken together. As in MedPy, '
        'which most work on Synapse and ACDC used (there with voxels for mm).'
    ),
}
_PERCENT = 95


class Distances(NamedTuple):
    """From every point of the first surface to the second, and back.

    Attributes:
        there: (M,) mm.
        back: (N,) mm.
        there_weights: (M,) mm^2 or 1.
        back_weights: (N,) mm^2 or 1.
    """

    there: np.ndarray
    back: np.ndarray
    there_weights: np.ndarray
    back_weights: np.ndarray


def surface_distances(
    first: np.ndarray, second: np.ndarray, *, spacing: tuple[float, ...], rule: str = 'area'
) -> Distances:
    """Distances between the surfaces of two masks.

    Args:
        first: (X, Y, Z) boolean, not empty; the box around both masks is enough.
        second: (X, Y, Z) boolean, not empty.
        spacing: Voxel edge lengths in mm.
        rule: Key of ``SURFACE_RULES``.
    """
    find = _area_elements if rule == 'area' else _border_voxels
    (places, weights), (other_places, other_weights) = find(first, spacing), find(second, spacing)
    edges = np.asarray(spacing)
    points, other_points = np.argwhere(places), np.argwhere(other_places)
    return Distances(
        there=_nearest(points, other_points, other_places, edges),
        back=_nearest(other_points, points, places, edges),
        there_weights=weights,
        back_weights=other_weights,
    )


def surface_scores(distances: Distances, *, tolerance: float, rule: str = 'area') -> dict[str, float]:
    """HD95, HD, ASD and ASSD in mm, and NSD.

    Args:
        distances: Between two surfaces.
        tolerance: Of NSD, in mm.
        rule: Key of ``SURFACE_RULES``.
    """
    sides = ((distances.there, distances.there_weights), (distances.back, distances.back_weights))
    sums = [float((values * weights).sum()) for values, weights in sides]
    areas = [float(weights.sum()) for _, weights in sides]
    close = sum(float(weights[values <= tolerance].sum()) for values, weights in sides)
    if rule == 'area':
        hd95 = max(_percentile_over_area(values, weights) for values, weights in sides)
    elif rule == 'border':
        hd95 = max(float(np.percentile(values, _PERCENT)) for values, _ in sides)
    else:
        hd95 = float(np.percentile(np.concatenate([distances.there, distances.back]), _PERCENT))
    return {
        'hd95': hd95,
        'hd': max(float(values.max()) for values, _ in sides),
        'asd': (sums[0] / areas[0] + sums[1] / areas[1]) / 2,
        'assd': sum(sums) / sum(areas),
        'nsd': close / sum(areas),
    }


def _area_elements(mask: np.ndarray, spacing: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Voxel corners that the surface runs through, (X + 1, Y + 1, Z + 1) boolean, and the mm^2 of each in its order.

    The eight voxels around a corner make a number of eight bits, which says how the surface runs.
    """
    code: np.ndarray = np.pad(mask, 1).view(np.uint8)
    code = (code[:, :, :-1] << 1) | code[:, :, 1:]
    code = (code[:, :-1] << 2) | code[:, 1:]
    code = (code[:-1] << 4) | code[1:]
    places = (code != 0) & (code != 255)
    return places, _areas(spacing)[code[places]]


def _border_voxels(mask: np.ndarray, spacing: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    padded = np.pad(mask, 1)
    inner = mask.copy()
    for axis in range(3):
        for shift in (0, 2):
            window = [slice(1, -1)] * 3
            window[axis] = slice(shift, shift + mask.shape[axis])
            inner &= padded[tuple(window)]
    places = mask & ~inner
    return places, np.ones(np.count_nonzero(places))


def _nearest(points: np.ndarray, others: np.ndarray, other_places: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Distance of each point to the nearest of the others, in mm; those that are shared are not searched for."""
    found = np.zeros(len(points))
    apart = ~other_places[tuple(points.T)]
    if apart.any():
        tree = KDTree(others * edges, balanced_tree=False, compact_nodes=False)
        index = tree.query(points[apart] * edges)[1]
        found[apart] = np.sqrt((((points[apart] - others[index]) * edges) ** 2).sum(axis=1))
    return found


def _percentile_over_area(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.lexsort((weights, values))
    share = np.cumsum(weights[order]) / np.sum(weights)
    return float(values[order][min(int(np.searchsorted(share, _PERCENT / 100)), len(values) - 1)])


@lru_cache(maxsize=64)
def _areas(spacing: tuple[float, ...]) -> np.ndarray:
    """mm^2 of a surface element by its eight bits."""
    return np.asarray(area_tables().create_table_neighbour_code_to_surface_area(spacing), dtype=float)


def area_tables() -> ModuleType:
    """The part of ``surface-distance`` that knows the area of a surface element.

    Raises:
        ImportError: It is not installed.
    """
    try:
        return importlib.import_module('surface_distance.lookup_tables')
    except ImportError as error:
        raise ImportError(
            "surface='area' needs the package surface-distance: pip install surface-distance, or set "
            "surface='border', or scores=('dice', 'iou')"
        ) from error

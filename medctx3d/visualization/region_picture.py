"""A picture of the regions of one volume."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import hsv_to_rgb
from skimage.segmentation import find_boundaries

from medctx3d.visualization.overlay import grey_levels, plane_canvas, show_plane
from medctx3d.visualization.planes import PLANES, cut, ras_spacing, richest_slices, to_ras

_LINE = (1.0, 0.85, 0.1)
_CROWDED = 0.5
_FINE = 500  # pixels along the longer side of a plane, so that borders are lines and not bands


def draw_regions(
    image: np.ndarray,
    regions: dict[str, np.ndarray],
    *,
    affine: np.ndarray,
    labels: np.ndarray | None = None,
    window: tuple[float, float] | None = None,
    title: str = '',
) -> np.ndarray:
    """Draw the borders of regions over three orthogonal planes, and under them each region in its mean intensity.

    Args:
        image: (X, Y, Z) intensities, in any orientation.
        regions: Two rows per map (X, Y, Z), under its name; ids from 1, 0 where there is no region.
        affine: (4, 4) voxel index to RAS+ world in mm.
        labels: (X, Y, Z) class ids, which choose the planes; None: the middle ones.
        window: Intensities shown as black and white; default: 1st and 99th percentile.
        title: Written above.

    Returns:
        (height, width, 3) uint8 RGB on white.

    Raises:
        ValueError: A map has not the shape of the image.
    """
    for name, found in regions.items():
        if found.shape != image.shape:
            raise ValueError(f'regions {name!r} must have the shape of the image {image.shape}, got {found.shape}')
    grey = to_ras(grey_levels(image, window), affine)
    slices = richest_slices(None if labels is None else to_ras(labels, affine), grey.shape)
    extent = np.multiply(grey.shape, ras_spacing(affine))
    figure, axes = plane_canvas(extent, 2 * len(regions), title)
    for row, (name, stored) in enumerate(regions.items()):
        ids = to_ras(stored, affine)
        means = _means(ids, grey)
        for column, plane in enumerate(PLANES):
            size = extent[[plane.across, plane.up]]
            layers = [cut(volume, plane, slices[plane.axis]) for volume in (grey, ids, means)]
            show_plane(axes[2 * row][column], _with_borders(layers[0], layers[1]), size, plane.letters)
            show_plane(axes[2 * row + 1][column], _coloured(layers[2], layers[1]), size, plane.letters)
        axes[2 * row][0].set_ylabel(f'{name}: borders', fontsize=10)
        axes[2 * row + 1][0].set_ylabel(f'{name}: means', fontsize=10)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]


def _means(ids: np.ndarray, grey: np.ndarray) -> np.ndarray:
    """(X, Y, Z) with each voxel at the mean of its region."""
    _, dense = np.unique(ids, return_inverse=True)
    sums, sizes = np.bincount(dense.ravel(), weights=grey.ravel()), np.bincount(dense.ravel())
    means: np.ndarray = (sums / sizes)[dense].reshape(ids.shape)
    return means


def _with_borders(grey: np.ndarray, ids: np.ndarray) -> np.ndarray:
    times = max(1, _FINE // max(ids.shape))
    grey, ids = (part.repeat(times, axis=0).repeat(times, axis=1) for part in (grey, ids))
    picture = np.repeat(grey[..., None], 3, axis=-1)
    borders = find_boundaries(ids, mode='inner')
    if (ids > 0).any() and borders[
        ids > 0
    ].mean() < _CROWDED:  # across the slices of a map in 2D nearly every pixel is one
        picture[borders] = _LINE
    return picture


def _coloured(means: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Regions in their mean intensity with a tint of their own, which shows where one ends; black outside."""
    tints = np.stack([(ids * 0.618034) % 1, np.full(ids.shape, 0.4), 0.25 + 0.75 * np.clip(means, 0, 1)], axis=-1)
    picture: np.ndarray = hsv_to_rgb(tints) * (ids > 0)[..., None]
    return picture

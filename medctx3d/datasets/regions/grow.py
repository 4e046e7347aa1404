"""From a volume to its regions: window, body, then Felzenszwalb's algorithm in two or three dimensions."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from scipy import ndimage

from medctx3d.datasets.regions.felzenszwalb import felzenszwalb_3d
from medctx3d.datasets.regions.settings import LEVELS, RegionSettings
from medctx3d.utils.geometry import spacing_of


def grow_regions(image: np.ndarray, affine: np.ndarray, settings: RegionSettings) -> np.ndarray:
    """Divide a volume into regions.

    Args:
        image: (X, Y, Z) intensities as in the file, in any orientation.
        affine: (4, 4) voxel index to RAS+ world in mm.
        settings: How.

    Returns:
        (X, Y, Z) int32 ids from 1, 0 outside the body. In 2D the ids of different slices differ.

    Raises:
        ValueError: The image is not three-dimensional, or nothing in it lies above ``body_above``.
        ModuleNotFoundError: Mode ``3d`` without numba.
    """
    if image.ndim != 3:
        raise ValueError(f'regions are grown in one channel (X, Y, Z), got an image of shape {image.shape}')
    axis = int(np.argwhere(nib.orientations.io_orientation(affine)[:, 0] == 2)[0, 0])
    inside = body_mask(image, settings.body_above, axis)
    grey = to_levels(image, inside, settings.window)
    spacing = spacing_of(affine)
    if settings.mode == '3d':
        smooth = ndimage.gaussian_filter(grey, np.divide(settings.sigma, spacing)) if settings.sigma else grey
        return felzenszwalb_3d(
            smooth,
            spacing,
            scale=settings.scale,
            min_size=settings.min_size,
            inside=inside,
            distance_exponent=settings.distance_exponent,
        )
    regions = np.zeros(image.shape, np.int32)
    in_plane = [edge for index, edge in enumerate(spacing) if index != axis]
    used = 0
    for index in range(image.shape[axis]):
        plane = (slice(None),) * axis + (index,)
        if inside[plane].any():
            found = _grow_slice(grey[plane], inside[plane], in_plane, settings)
            regions[plane] = np.where(found > 0, found + used, 0)
            used += int(found.max())
    return regions


def body_mask(image: np.ndarray, above: float | None, axis: int) -> np.ndarray:
    """The largest connected part above an intensity, holes filled in the slices across ``axis``; (X, Y, Z) bool.

    Raises:
        ValueError: There is none.
    """
    if above is None:
        return np.ones(image.shape, bool)
    parts, count = ndimage.label(image > above)
    if count == 0:
        raise ValueError(
            f'no voxel lies above body_above={above:g}, the image goes from {image.min():g} to {image.max():g}: '
            'give the intensity that parts air from body in its own units'
        )
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    body = parts == sizes.argmax()
    for plane in np.moveaxis(body, axis, 0):
        plane[...] = ndimage.binary_fill_holes(plane)
    return body


def to_levels(image: np.ndarray, inside: np.ndarray, window: tuple[float, float] | None) -> np.ndarray:
    """Intensities on 0..255, float32; the window is the body's 1st and 99th percentile where none is given."""
    low, high = np.percentile(image[inside], (1, 99)) if window is None else window
    levels = (image.astype(np.float32) - np.float32(low)) * np.float32(LEVELS / max(float(high - low), 1e-6))
    return np.clip(levels, 0, LEVELS)


def _grow_slice(grey: np.ndarray, inside: np.ndarray, spacing: list[float], settings: RegionSettings) -> np.ndarray:
    """Ids from 1 in one slice, 0 outside; scikit-image counts sizes in pixels and smooths by one sigma."""
    from skimage.segmentation import felzenszwalb  # a third of a second that reading volumes does not need

    pixel = spacing[0] * spacing[1]
    found = felzenszwalb(
        grey / LEVELS,  # it divides scale by 255 and expects 0..1
        scale=settings.scale / pixel,
        sigma=settings.sigma / np.sqrt(pixel),
        min_size=max(1, round(settings.min_size / pixel)),
        channel_axis=None,
    )
    kept = np.unique(np.where(inside, found + 1, 0), return_inverse=True)[1].reshape(grey.shape)
    return kept.astype(np.int32) if (~inside).any() else kept.astype(np.int32) + 1

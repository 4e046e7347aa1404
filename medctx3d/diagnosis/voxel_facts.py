"""What the voxels of one file say, found in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from nibabel.orientations import apply_orientation, io_orientation
from scipy import ndimage

from medctx3d.datasets.checks import class_ids
from medctx3d.diagnosis.facts import ClassFacts, ImageFacts, IntensityFacts, LabelFacts
from medctx3d.utils.volume_header import VolumeError

_SAMPLE = 2**20  # voxels of the regular sample that quantiles and frequencies are taken from
COUNTED_VALUES = 64  # of a label file that are counted
_GRID = 16  # cells along each axis of a signature
_SHADING = 2.0  # cells; what is smoother is no sign of one scan
_ML = 1000.0  # mm^3

Window = tuple[float, float] | None


def image_facts(voxels: np.ndarray, affine: np.ndarray, window: Window) -> ImageFacts:
    """Facts of an image file.

    Args:
        voxels: (X, Y, Z) or (X, Y, Z, C), as stored.
        affine: (4, 4) voxel index to RAS+ world in mm.
        window: Lowest and highest intensity that the load pipeline scales.
    """
    channels = [voxels] if voxels.ndim == 3 else [voxels[..., c] for c in range(voxels.shape[3])]
    first = _turned(channels[0], affine)
    return ImageFacts(
        channels=tuple(_intensities(channel, affine, window) for channel in channels),
        digest=_digest(first),
        signature=signature(first),
    )


def label_facts(
    voxels: np.ndarray, affine: np.ndarray, metainfo: Mapping[str, Any], image: np.ndarray | None, window: Window
) -> LabelFacts:
    """Facts of a label file.

    Args:
        voxels: (X, Y, Z), as stored.
        affine: (4, 4) voxel index to RAS+ world in mm.
        metainfo: ``classes`` and ``label_map``.
        image: (X, Y, Z) voxels of the case's first channel; None where they do not fit.
        window: Of the load pipeline.
    """
    values, counts = np.unique(voxels, return_counts=True)
    stored = {
        float(value): int(count) for value, count in zip(values[:COUNTED_VALUES], counts[:COUNTED_VALUES], strict=True)
    }
    digest = _digest(_turned(voxels, affine))
    try:
        ids = class_ids(voxels, '', metainfo)
    except VolumeError as error:
        return LabelFacts(str(error).removeprefix(': '), _kind(values), stored, {}, digest)
    common = _common(_sample(image))[0] if image is not None else 0.0
    classes = {}
    for label, box in enumerate(ndimage.find_objects(ids), start=1):
        if box is not None:
            mask = ids[box] == label
            classes[label] = _class_facts(mask, box, affine, None if image is None else image[box], common, window)
    return LabelFacts('', '', stored, classes, digest)


def signature(voxels: np.ndarray) -> np.ndarray:
    """The coarse content of a volume as a unit vector, without its mean and its slow shading.

    Two images of one scan, stored with other intensities, noise, or voxel size, have a product near 1.

    Args:
        voxels: (X, Y, Z) in RAS order; NaN and infinity count as 0.
    """
    with np.errstate(over='ignore'):
        coarse: np.ndarray = voxels.astype(np.float32, order='K')
    if voxels.dtype.kind == 'f':
        coarse[~np.isfinite(coarse)] = 0
    for axis, size in enumerate(voxels.shape):
        cells = min(_GRID, size)
        edges = np.arange(cells) * size // cells
        widths = np.diff([*edges, size]).reshape([-1 if a == axis else 1 for a in range(3)])
        coarse = np.add.reduceat(coarse, edges, axis=axis) / widths
    coarse = (
        ndimage.zoom(coarse, [_GRID / size for size in coarse.shape], order=1) if min(coarse.shape) < _GRID else coarse
    )
    detail = coarse - ndimage.gaussian_filter(coarse, _SHADING, mode='nearest')
    detail -= detail.mean()
    length = float(np.linalg.norm(detail))
    return (detail / length if length > 0 else detail).ravel().astype(np.float32)


def _intensities(voxels: np.ndarray, affine: np.ndarray, window: Window) -> IntensityFacts:
    with np.errstate(over='ignore'):
        finite = np.isfinite(voxels) if voxels.dtype.kind == 'f' else None
        if voxels.dtype == np.float64:
            finite = np.isfinite(voxels.astype(np.float32))
    nonfinite = 0 if finite is None else int(finite.size - np.count_nonzero(finite))
    first = tuple(int(i) for i in np.argwhere(~finite)[0]) if nonfinite and finite is not None else ()
    kept = voxels[finite] if nonfinite else voxels
    if kept.size == 0:
        kept = np.zeros(1, voxels.dtype)
    sample = _sample(kept)
    common, share = _common(sample)
    low, high = (float(q) for q in np.quantile(sample, (0.005, 0.995)))
    maximum = float(kept.max())
    shown = sample != common if window is None else (sample > window[0]) & (sample < window[1])
    inside = None if window is None else float(shown.mean())
    return IntensityFacts(
        nonfinite=nonfinite,
        first_nonfinite=first,
        minimum=float(kept.min()),
        maximum=maximum,
        mean=float(kept.mean(dtype=np.float64)),
        quantiles=(low, float(np.median(sample[shown] if shown.any() else sample)), high),
        distinct=len(np.unique(sample)),
        whole=bool((sample == np.rint(sample)).all()),
        common=common,
        common_share=share,
        top_share=float(np.mean(sample == maximum)),
        blank_slices=_blank_slices(voxels, affine) if not nonfinite else (),
        inside_window=inside,
    )


def _class_facts(
    mask: np.ndarray,
    box: tuple[slice, ...],
    affine: np.ndarray,
    image: np.ndarray | None,
    common: float,
    window: Window,
) -> ClassFacts:
    index, gaps = [], 0.0
    count = int(mask.sum())
    for axis, span in enumerate(box):
        by_slice = mask.sum(axis=tuple(a for a in range(3) if a != axis))
        index.append(span.start + float(by_slice @ np.arange(len(by_slice))) / count)
        gaps = max(gaps, float(np.mean(by_slice == 0)))
    x, y, z = affine[:3, :3] @ index + affine[:3, 3]
    values = None if image is None else image[mask]
    return ClassFacts(
        voxels=count,
        volume_ml=count * abs(float(np.linalg.det(affine[:3, :3]))) / _ML,
        centroid=(float(x), float(y), float(z)),
        gaps=gaps,
        in_window=None
        if values is None or window is None
        else float(np.mean((values > window[0]) & (values < window[1]))),
        on_common=None if values is None else float(np.mean(values == common)),
    )


def _blank_slices(voxels: np.ndarray, affine: np.ndarray) -> tuple[int, ...]:
    """Slices of one value between slices of several, across the axis of the largest spacing."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    axis = int(np.flatnonzero(spacing >= spacing.max() * 0.999)[-1])
    others = tuple(a for a in range(3) if a != axis)
    extent = np.subtract(voxels.max(axis=others), voxels.min(axis=others), dtype=np.float64)
    full = np.flatnonzero(extent > 0)
    if full.size == 0:
        return ()
    rich = np.median(extent[full]) / 2  # beside air that a mask or a table breaks, a blank slice is nothing strange
    found = []
    for index in np.flatnonzero(extent == 0):
        below, above = full[full < index], full[full > index]
        if below.size and above.size and min(extent[below[-1]], extent[above[0]]) >= rich:
            found.append(int(index))
    return tuple(found)


def _kind(values: np.ndarray) -> str:
    if not np.isfinite(values).all():
        return 'nonfinite'
    return 'fractions' if np.abs(values - np.rint(values)).max() > 0.001 else 'unknown'


def _turned(voxels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """(X, Y, Z) with axes permuted and flipped to RAS order; nothing is interpolated."""
    return apply_orientation(voxels, io_orientation(affine))


def _digest(voxels: np.ndarray) -> str:
    """Of shape and voxels; whole numbers count alike in every type."""
    with np.errstate(over='ignore'):
        plain = np.asfortranarray(voxels, dtype=np.float32).T  # the order in which NIfTI stores them
    return hashlib.blake2b(plain.data, digest_size=16, salt=repr(voxels.shape).encode()[:16]).hexdigest()


def _sample(voxels: np.ndarray) -> np.ndarray:
    """A regular sample of all voxels, at most twice ``_SAMPLE``."""
    flat = voxels.ravel(order='K')
    return flat[:: max(1, flat.size // _SAMPLE)]


def _common(sample: np.ndarray) -> tuple[float, float]:
    """The most frequent value and its share."""
    values, counts = np.unique(sample, return_counts=True)
    return float(values[counts.argmax()]), float(counts.max() / sample.size)

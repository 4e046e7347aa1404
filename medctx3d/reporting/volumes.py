"""Volumes small enough to lie in a page: windowed, coarser where they must be, and compressed."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Image
from skimage.transform import downscale_local_mean

from medctx3d.reporting.shown_case import ShownCase
from medctx3d.utils.geometry import spacing_of
from medctx3d.visualization.planes import to_ras

_LEVEL = 6  # of gzip
_LEAST = 8  # voxels along an axis below which it is not made coarser
_DENSEST = 4  # voxels that a byte of base64 holds at best: what cannot fit is not compressed to find that out


def pack_case(case: ShownCase, budget: int, *, start: tuple[int, int, int]) -> dict[str, Any] | None:
    """The volumes of a case as base64 of ``.nii.gz``, together at most ``budget`` bytes.

    Neighbouring voxels are joined until the volumes fit: intensities by their mean, class ids by taking every n-th.
    The axis with the smallest voxel edge comes first.

    Args:
        case: With at least an image.
        budget: Bytes of base64.
        start: Index along right, anterior and superior of the voxel to look at first.

    Returns:
        ``case``, ``shape`` and ``spacing`` (mm) as shown, ``factors`` per axis (1 = every voxel), ``volumes`` by name,
        and ``start`` in parts (0 to 1) of the volume's sides; None where even the coarsest is too large.
    """
    factors = np.ones(3, dtype=int)
    while True:
        if np.prod(np.array(case.grey.shape) // factors) <= _DENSEST * budget:
            volumes, affine, shape = _volumes(case, factors)
            if sum(map(len, volumes.values())) <= budget:
                break
        can = [axis for axis in range(3) if case.grey.shape[axis] // (factors[axis] + 1) >= _LEAST]
        if not can:
            return None
        edges = np.multiply(spacing_of(case.affine), factors)
        factors[min(can, key=lambda axis: edges[axis])] += 1
    return dict(
        case=case.case,
        shape=shape,
        spacing=[round(edge, 3) for edge in spacing_of(affine)],
        factors=factors.tolist(),
        start=_parts(case, start),
        volumes=volumes,
    )


def _volumes(case: ShownCase, factors: np.ndarray) -> tuple[dict[str, str], np.ndarray, list[int]]:
    step = tuple(int(factor) for factor in factors)
    shape = [size // factor for size, factor in zip(case.grey.shape, step, strict=True)]  # a rest is cut off
    kept = tuple(slice(0, size * factor) for size, factor in zip(shape, step, strict=True))
    affine = case.affine @ np.diag([*step, 1.0])
    affine[:3, 3] = case.affine[:3, 3] + case.affine[:3, :3] @ ((factors - 1) / 2)
    layers = dict(truth=case.truth, prediction=case.prediction, difference=case.difference())
    volumes = {'image': _nifti(downscale_local_mean(case.grey[kept], step), affine)}
    for name, labels in layers.items():
        if labels is not None:
            centres = tuple(slice(factor // 2, part.stop, factor) for part, factor in zip(kept, step, strict=True))
            volumes[name] = _nifti(labels[centres], affine)
    return volumes, affine, shape


def _parts(case: ShownCase, index: tuple[int, int, int]) -> list[float]:
    sizes = to_ras(case.grey, case.affine).shape
    return [round((place + 0.5) / size, 4) for place, size in zip(index, sizes, strict=True)]


def _nifti(voxels: np.ndarray, affine: np.ndarray) -> str:
    """Base64 of a compressed NIfTI with uint8 voxels, or uint16 where ids are larger."""
    dtype = np.uint8 if voxels.max(initial=0) <= np.iinfo(np.uint8).max else np.uint16
    image: Any = Nifti1Image(np.rint(voxels).astype(dtype), affine)
    return base64.b64encode(gzip.compress(image.to_bytes(), _LEVEL, mtime=0)).decode('ascii')

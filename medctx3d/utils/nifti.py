"""Read and write label volumes in the grid and with the header of a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import nibabel as nib
import numpy as np

from medctx3d.utils.atomic import atomic_path

# Where the voxels lie: all that a label file shares with its image. Scaling, display range and notes are not its own.
_GRID_FIELDS = (
    *('pixdim', 'xyzt_units', 'qform_code', 'sform_code', 'quatern_b', 'quatern_c', 'quatern_d'),
    *('qoffset_x', 'qoffset_y', 'qoffset_z', 'srow_x', 'srow_y', 'srow_z'),
)
# How far a stored label may be from a whole number: room for slope and intercept, not for blends.
_ROUNDING = 1e-3


def read_labels(path: str | os.PathLike[str], label_map: Mapping[int, int] | None = None) -> np.ndarray:
    """Class ids of a label file, in the file's own orientation.

    Args:
        path: NIfTI file of integers; a trailing axis of one voxel is dropped.
        label_map: File value to class id; values it does not name keep their id.

    Returns:
        (X, Y, Z) integers.

    Raises:
        ValueError: The file is not three-dimensional, or holds values that are no whole numbers.
    """
    file: Any = nib.load(path)
    values = np.asanyarray(file.dataobj)
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise ValueError(f'{path}: a label file must have three axes, got shape {values.shape}')
    if not np.issubdtype(values.dtype, np.integer):
        whole = np.rint(values).astype(np.int32)
        if np.abs(values - whole).max(initial=0) > _ROUNDING:
            raise ValueError(f'{path}: labels must be whole numbers, got {values.dtype} with fractions')
        values = whole
    mapped = values.copy() if label_map else values
    for old, new in (label_map or {}).items():
        mapped[values == int(old)] = int(new)
    return mapped


def write_labels(path: str | os.PathLike[str], labels: np.ndarray, *, like: str | os.PathLike[str]) -> None:
    """Write class ids as NIfTI with the affine and the qform and sform codes of another file.

    Args:
        path: File to write; it appears whole or not at all.
        labels: (X, Y, Z) class ids, 0 to 65535; written as uint8 where they fit, else as uint16.
        like: File whose grid ``labels`` lie on.

    Raises:
        ValueError: The shapes differ, or an id is out of range.
    """
    header: Any = nib.load(like).header
    shape = tuple(int(size) for size in header['dim'][1:4])
    if labels.shape != shape:
        raise ValueError(
            f'{path}: labels have {labels.shape} voxels, {like} has {shape}; '
            'bring them to its grid with to_source_grid first'
        )
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if low < 0 or high > np.iinfo(np.uint16).max:
        raise ValueError(f'{path}: class ids must lie in 0 to 65535, got {low} to {high}')
    dtype = np.dtype(np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16)
    kind = nib.Nifti2Image if int(header['sizeof_hdr']) == 540 else nib.Nifti1Image
    grid = kind.header_class()
    for field in _GRID_FIELDS:  # copied, not computed again: a quaternion that is recomputed differs in its last bits
        grid[field] = header[field]
    image = kind(labels.astype(dtype), None, grid)
    image.set_data_dtype(dtype)
    with atomic_path(path) as temporary:
        nib.save(image, temporary)

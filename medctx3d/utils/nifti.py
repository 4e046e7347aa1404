"""Read and write label volumes in the grid and with the header of a file."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from medctx3d.utils.grid_file import write_on_grid
from medctx3d.utils.volume_file import read_volume

# How far a stored label may be from a whole number: room for slope and intercept, not for blends.
_ROUNDING = 1e-3


def read_labels(path: str | os.PathLike[str], label_map: Mapping[int, int] | None = None) -> np.ndarray:
    """Class ids of a label file, in the file's own orientation.

    Args:
        path: Volume file of integers, in any format; a trailing axis of one voxel is dropped.
        label_map: File value to class id; values it does not name keep their id.

    Returns:
        (X, Y, Z) integers.

    Raises:
        ValueError: The file is not three-dimensional, or holds values that are no whole numbers.
    """
    values = read_volume(os.fspath(path))[0]
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
    """Write class ids with the geometry of another file; see :func:`~medctx3d.utils.grid_file.write_on_grid`.

    Args:
        path: File to write, ``.nii.gz``, ``.nii``, ``.nrrd`` or ``.mha``; it appears whole or not at all.
        labels: (X, Y, Z) class ids, 0 to 65535; written as uint8 where they fit, else as uint16.
        like: File or DICOM folder whose grid ``labels`` lie on.

    Raises:
        ValueError: The shapes differ, or an id is out of range.
    """
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if low < 0 or high > np.iinfo(np.uint16).max:
        raise ValueError(f'{path}: class ids must lie in 0 to 65535, got {low} to {high}')
    dtype = np.dtype(np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16)
    write_on_grid(path, labels.astype(dtype), like=like)

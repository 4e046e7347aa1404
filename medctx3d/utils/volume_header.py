"""What every volume format states in its header, and the rules that hold for all of them."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

NIFTI_SUFFIXES = ('.nii.gz', '.nii', '.hdr', '.img')
ITK_SUFFIXES = ('.nrrd', '.nhdr', '.mha', '.mhd')
SUFFIXES = NIFTI_SUFFIXES + ITK_SUFFIXES

_UNORIENTED: list[str] = []  # the first file without orientation: one warning a process is enough


class VolumeError(ValueError):
    """A volume that cannot be used. The message names the file, the rule, what was found and the fix."""


class VolumeHeader(NamedTuple):
    """What a volume's header states.

    Attributes:
        path: The file, or the folder of a DICOM series.
        shape: Voxels (X, Y, Z), or (X, Y, Z, C) where the file has more than one frame or channel.
        affine: (4, 4) float64, voxel index to RAS+ world in mm.
        spacing: Voxel edge lengths in mm along the file's axes, from the affine's columns.
        dtype: Type the voxels are stored as, before slope and intercept.
    """

    path: str
    shape: tuple[int, ...]
    affine: np.ndarray
    spacing: tuple[float, float, float]
    dtype: np.dtype


def make_header(path: str | Path, stored: tuple[int, ...], affine: np.ndarray, dtype: np.dtype) -> VolumeHeader:
    """Header of a volume, its shape, affine and type checked.

    Args:
        path: The file or folder.
        stored: Its shape; axes of length one behind the third are dropped.
        affine: (4, 4) voxel index to RAS+ world in mm.
        dtype: Type of a voxel.

    Raises:
        VolumeError: Not 3D or 4D, voxels that are no real numbers, or an affine that is not invertible.
    """
    shape = stored[:3] + tuple(n for n in stored[3:] if n != 1)
    if len(shape) < 3 or min(shape) < 1 or min(shape[:3]) == 1 or len(shape) > 4:
        raise VolumeError(
            f'{path}: a volume must be (X, Y, Z) or (X, Y, Z, channels) with at least 2 voxels along X, Y and Z, '
            f'it has shape {stored}. Stack 2D slices into one volume; split time series into single volumes.'
        )
    if dtype.kind not in 'iuf':
        raise VolumeError(
            f'{path}: voxels must be numbers (integer or real), they are {dtype}. '
            f'Convert colour or complex voxels to one number each.'
        )
    affine = np.asarray(affine, dtype=float)
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or lengths.min() <= 0 or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-3:
        raise VolumeError(
            f'{path}: the affine must be finite and invertible (spacing above 0), it is {affine[:3].tolist()}. '
            f'Convert the image again, or set a true one: nibabel.Nifti1Image(voxels, affine).'
        )
    x, y, z = lengths
    return VolumeHeader(str(path), shape, affine, (float(x), float(y), float(z)), dtype)


def require_file(path: str, why: str = '') -> None:
    """Refuse what is not there, a folder, and an empty file.

    Args:
        path: File to be read.
        why: Goes behind ``no such file``, such as ``' (the other half of x.img)'``.

    Raises:
        FileNotFoundError: There is no such file; the message has the full path.
        VolumeError: It is a folder or empty.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(
            f'{path}: no such file{why}. Full path: {os.path.abspath(path)}. Correct the path, or the data root.'
        )
    if os.path.isdir(path):
        raise VolumeError(f'{path}: must be a volume file, it is a folder. Name a file in it.')
    if os.path.getsize(path) == 0:
        raise VolumeError(f'{path}: must hold a volume, the file is empty. Fetch or copy it again.')


def note_missing_orientation(path: str, reason: str) -> None:
    """Warn, once a process, of a file that does not say where left is.

    Args:
        path: The file.
        reason: What it lacks, and how its axes are taken instead.
    """
    if not _UNORIENTED:
        _UNORIENTED.append(path)
        warnings.warn(
            f'{path} states no orientation ({reason}. Said once; other files may be like it.',
            stacklevel=4,
        )


def strip_suffix(path: str | os.PathLike[str]) -> str:
    """File name without folder and volume suffix: ``a/img0001.nii.gz`` -> ``img0001``."""
    name = os.path.basename(path)
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return name[: -len(suffix)]
    return name

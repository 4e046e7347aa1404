"""Volume files: headers and voxels of NIfTI, with errors that say what to do.

The affine is the one nibabel picks: sform where ``sform_code > 0``, else qform where ``qform_code > 0``, else the
voxel sizes with the first axis pointing left. World coordinates are RAS+ in mm.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from nibabel.nifti1 import Nifti1Header, Nifti1PairHeader
from nibabel.nifti2 import Nifti2Header, Nifti2PairHeader
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import array_from_file

SUFFIXES = ('.nii.gz', '.nii', '.hdr', '.img')

_GZIP = b'\x1f\x8b'
_HEADERS = {
    (348, b'n+1'): Nifti1Header,
    (348, b'ni1'): Nifti1PairHeader,
    (540, b'n+2'): Nifti2Header,
    (540, b'ni2'): Nifti2PairHeader,
}
_UNORIENTED: list[str] = []  # the first file without orientation: one warning a process is enough


class VolumeError(ValueError):
    """A volume that cannot be used. The message names the file, the rule, what was found and the fix."""


class VolumeHeader(NamedTuple):
    """What a volume's header states.

    Attributes:
        path: The file.
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


def read_header(path: str | Path) -> VolumeHeader:
    """Read and check a volume's header; voxels stay on disk.

    Args:
        path: ``.nii``, ``.nii.gz``, or either file of a NIfTI ``.hdr`` / ``.img`` pair.

    Raises:
        FileNotFoundError: There is no such file, or a pair lacks its other half.
        VolumeError: Not NIfTI, a damaged gzip stream, not 3D or 4D, voxel sizes that are not positive, or an affine
            that is not invertible.
    """
    header = _parse(str(path))
    shape = _volume_shape(path, header)
    affine = _affine(path, header)
    x, y, z = np.linalg.norm(affine[:3, :3], axis=0)
    return VolumeHeader(str(path), shape, affine, (float(x), float(y), float(z)), header.get_data_dtype())


def read_volume(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a volume's voxels as stored, without reorientation.

    Slope and intercept are applied in float32 where the header has them; otherwise the stored type is kept. A gzip
    stream is read to its end, so that its checksum is verified. An uncompressed file comes as a memory map
    (copy on write).

    Returns:
        Array (X, Y, Z) or (X, Y, Z, C), and affine (4, 4) float64, voxel index to RAS+ world in mm.

    Raises:
        FileNotFoundError: As :func:`read_header`.
        VolumeError: As :func:`read_header`, or the voxels are fewer than the header says, or fail their checksum.
    """
    stated = read_header(path)
    header = _parse(str(path))
    with _named_errors(path):
        slope, intercept = header.get_slope_inter()
        with _open(re.sub(r'\.hdr$', '.img', str(path))) as stream:
            voxels = array_from_file(
                header.get_data_shape(), header.get_data_dtype(), stream, header.get_data_offset(), mmap='c'
            )
            if isinstance(stream, gzip.GzipFile):
                while stream.read(1 << 20):  # only at its end does gzip compare the checksum
                    pass
    voxels = voxels.reshape(stated.shape, order='F')
    if slope is not None and (slope, intercept) != (1, 0):
        voxels = voxels.astype(np.float32, order='K')
        voxels *= np.float32(slope)
        voxels += np.float32(intercept)
    return voxels, stated.affine


def strip_suffix(path: str | Path) -> str:
    """File name without folder and volume suffix: ``a/img0001.nii.gz`` -> ``img0001``."""
    name = os.path.basename(path)
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return name[: -len(suffix)]
    return name


def _parse(path: str) -> Nifti1Header:
    """Checked NIfTI header of a file."""
    _require_volume_file(path)
    source = re.sub(r'\.img$', '.hdr', path)
    with _named_errors(source), _open(source) as stream:
        block = stream.read(540)
    size = next((n for order in ('little', 'big') if (n := int.from_bytes(block[:4], order)) in (348, 540)), 0)
    kind = _HEADERS.get((size, block[344:347] if size == 348 else block[4:7]))
    if kind is None or len(block) < size:
        raise VolumeError(_not_nifti(source, block, size))
    if kind.is_single != path.endswith(('.nii', '.nii.gz')):
        held = 'header and voxels in one file' if kind.is_single else 'a header only'
        raise VolumeError(
            f'{path}: .nii must hold header and voxels, .hdr and .img one of them each; it holds {held}. '
            f'Rename {"it to .nii" if kind.is_single else "the two files to .hdr and .img"}.'
        )
    with _named_errors(source):
        stated = kind(block[:size], check=False)
        sizes = [float(value) for value in stated['pixdim'][1:4]]
        if not all(np.isfinite(value) and value > 0 for value in sizes):
            raise VolumeError(
                f'{path}: voxel sizes (pixdim[1:4], mm) must be positive, the header has {sizes}. '
                f'Convert the images again from DICOM, or set the true sizes with '
                f'nibabel: header.set_zooms(...).'
            )
        return kind(block[:size])


def _require_volume_file(path: str) -> None:
    if not path.endswith(SUFFIXES):
        raise VolumeError(
            f'{path}: volumes must be NIfTI ({", ".join(SUFFIXES)}). Convert it, e.g. with SimpleITK: '
            f"sitk.WriteImage(sitk.ReadImage('{path}'), '{strip_suffix(path).partition('.')[0]}.nii.gz')."
        )
    halves = [path[:-4] + '.hdr', path[:-4] + '.img'] if path.endswith(('.hdr', '.img')) else [path]
    for half in halves:
        if not os.path.exists(half):
            why = '' if half == path else f' (the other half of {path})'
            raise FileNotFoundError(
                f'{half}: no such file{why}. Full path: {os.path.abspath(half)}. Correct the path, or the data root.'
            )
        if os.path.isdir(half):
            raise VolumeError(f'{half}: must be a NIfTI file, it is a folder. Name a file in it.')
        if os.path.getsize(half) == 0:
            raise VolumeError(f'{half}: must hold a NIfTI volume, the file is empty. Fetch or copy it again.')


def _open(path: str) -> io.BufferedIOBase:
    """Open for reading, decompressing where the name says so.

    Raises:
        VolumeError: The name and the content disagree about gzip.
    """
    with open(path, 'rb') as stream:
        start = stream.read(4)
    if path.endswith('.gz') != (start[:2] == _GZIP):
        if path.endswith('.gz'):
            found = 'uncompressed NIfTI' if start[:4] in (b'\x5c\x01\0\0', b'\0\0\x01\x5c') else f'{start!r}'
            fix = 'Rename it to .nii' if found == 'uncompressed NIfTI' else 'Fetch it again, it may be an error page'
            raise VolumeError(f'{path}: a .gz file must start as gzip does, it starts with {found}. {fix}.')
        raise VolumeError(f'{path}: the file is gzip-compressed. Rename it to .nii.gz.')
    return gzip.open(path) if path.endswith('.gz') else open(path, 'rb')


@contextmanager
def _named_errors(path: str | Path) -> Iterator[None]:
    """Turn what gzip, zlib and nibabel say about bad content into a :class:`VolumeError` that names the file."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise VolumeError(
            f'{path}: the gzip stream must be whole, it is truncated or damaged ({error}). Fetch or copy it again.'
        ) from None  # its words are in the message
    except HeaderDataError as error:
        raise VolumeError(f'{path}: the NIfTI header must be valid: {error}. Convert or fetch it again.') from None
    except OSError as error:
        if error.errno is not None:  # the disk's or the system's own complaint, which has the file's name already
            raise
        raise VolumeError(
            f'{path}: the file must hold as many voxels as its header says, it is truncated ({error}). '
            f'Fetch or copy it again.'
        ) from None  # its words are in the message


def _not_nifti(path: str, block: bytes, size: int) -> str:
    if size and len(block) < size:
        return f'{path}: a NIfTI header has {size} bytes, the file ends after {len(block)}. Fetch or copy it again.'
    if size == 348:
        return (
            f'{path}: must be NIfTI, it holds an Analyze header, which does not say where left is. '
            f'Convert it to NIfTI with the orientation known to whoever made it.'
        )
    return f'{path}: must be NIfTI, its content starts with {block[:12]!r}. Fetch it again, or convert it to NIfTI.'


def _volume_shape(path: str | Path, header: Nifti1Header) -> tuple[int, ...]:
    """Shape without axes of length one behind the third."""
    stored = tuple(int(n) for n in header.get_data_shape())
    shape = stored[:3] + tuple(n for n in stored[3:] if n != 1)
    if len(shape) < 3 or min(shape) < 1 or min(shape[:3]) == 1 or len(shape) > 4:
        raise VolumeError(
            f'{path}: a volume must be (X, Y, Z) or (X, Y, Z, channels) with at least 2 voxels along X, Y and Z, '
            f'it has shape {stored}. Stack 2D slices into one volume; split time series into single volumes.'
        )
    if header.get_data_dtype().kind not in 'iuf':
        raise VolumeError(
            f'{path}: voxels must be numbers (integer or real), they are {header.get_data_dtype()}. '
            f'Convert colour or complex voxels to one number each.'
        )
    return shape


def _affine(path: str | Path, header: Nifti1Header) -> np.ndarray:
    affine = np.asarray(header.get_best_affine(), dtype=float)
    columns = affine[:3, :3]
    lengths = np.linalg.norm(columns, axis=0)
    if not np.isfinite(affine).all() or lengths.min() <= 0 or abs(np.linalg.det(columns / lengths)) < 1e-3:
        raise VolumeError(
            f'{path}: the affine must be finite and invertible (spacing above 0), it is {affine[:3].tolist()}. '
            f'Convert the image again, or set a true one: nibabel.Nifti1Image(voxels, affine).'
        )
    if int(header['sform_code']) <= 0 and int(header['qform_code']) <= 0 and not _UNORIENTED:
        _UNORIENTED.append(str(path))
        warnings.warn(
            f'{path} states no orientation (sform_code and qform_code are 0): its first axis is taken to point left, '
            f'as nibabel does. Said once; other files may be like it.',
            stacklevel=3,
        )
    return affine

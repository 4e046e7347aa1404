"""NIfTI files: header and voxels, with errors that say what to do.

The affine is the one nibabel picks: sform where ``sform_code > 0``, else qform where ``qform_code > 0``, else the
voxel sizes with the first axis pointing left. World coordinates are RAS+ in mm.
"""

from __future__ import annotations

import gzip
import io
import re
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

from medctx3d.utils.volume_header import (
    VolumeError,
    VolumeHeader,
    make_header,
    note_missing_orientation,
    require_file,
)

_GZIP = b'\x1f\x8b'
_HEADERS = {
    (348, b'n+1'): Nifti1Header,
    (348, b'ni1'): Nifti1PairHeader,
    (540, b'n+2'): Nifti2Header,
    (540, b'ni2'): Nifti2PairHeader,
}


class NiftiForms(NamedTuple):
    """A NIfTI header's own account of where its voxels lie.

    Attributes:
        sform: (4, 4) voxel index to world in mm; None where ``sform_code`` is 0.
        qform: The same from the quaternion; None where ``qform_code`` is 0 or the quaternion is no rotation.
        unit: Of lengths: ``mm``, ``meter``, ``micron`` or ``unknown``.
        slope: By which stored values are multiplied.
        intercept: Which is added to them.
    """

    sform: np.ndarray | None
    qform: np.ndarray | None
    unit: str
    slope: float
    intercept: float


def read_nifti_forms(path: str) -> NiftiForms:
    """Read both affines, the unit and the scaling of a header; raises as :func:`read_nifti_header`."""
    header = _parse(path)
    try:
        qform = header.get_qform(coded=True)[0]
    except (ValueError, HeaderDataError):  # a quaternion longer than one
        qform = None
    slope, intercept = header.get_slope_inter()
    sform = header.get_sform(coded=True)[0]
    unit = header.get_xyzt_units()[0]
    return NiftiForms(sform, qform, unit, 1.0 if slope is None else float(slope), float(intercept or 0))


def read_nifti_header(path: str) -> VolumeHeader:
    """Read and check a header; voxels stay on disk.

    Args:
        path: ``.nii``, ``.nii.gz``, or either file of a ``.hdr`` / ``.img`` pair.

    Raises:
        FileNotFoundError: There is no such file, or a pair lacks its other half.
        VolumeError: Not NIfTI, a damaged gzip stream, not 3D or 4D, voxel sizes that are not positive, or an affine
            that is not invertible.
    """
    header = _parse(path)
    stored = tuple(int(n) for n in header.get_data_shape())
    found = make_header(path, stored, _affine(path, header), header.get_data_dtype())
    if int(header['sform_code']) <= 0 and int(header['qform_code']) <= 0:
        note_missing_orientation(
            path, 'sform_code and qform_code are 0): its first axis is taken to point left, as nibabel does'
        )
    return found


def read_nifti_voxels(path: str, shape: tuple[int, ...]) -> np.ndarray:
    """Read the voxels of a file whose header was read.

    Slope and intercept are applied in float32 where the header has them; otherwise the stored type is kept. A gzip
    stream is read to its end, so that its checksum is verified. An uncompressed file comes as a memory map
    (copy on write).

    Args:
        path: As :func:`read_nifti_header`.
        shape: (X, Y, Z) or (X, Y, Z, C), from the header.

    Raises:
        VolumeError: The voxels are fewer than the header says, or fail their checksum.
    """
    header = _parse(path)
    with _named_errors(path):
        slope, intercept = header.get_slope_inter()
        with _open(re.sub(r'\.hdr$', '.img', path)) as stream:
            voxels = array_from_file(
                header.get_data_shape(), header.get_data_dtype(), stream, header.get_data_offset(), mmap='c'
            )
            if isinstance(stream, gzip.GzipFile):
                while stream.read(1 << 20):  # only at its end does gzip compare the checksum
                    pass
    voxels = voxels.reshape(shape, order='F')
    if slope is not None and (slope, intercept) != (1, 0):
        voxels = voxels.astype(np.float32, order='K')
        voxels *= np.float32(slope)
        voxels += np.float32(intercept)
    return voxels


def _parse(path: str) -> Nifti1Header:
    """Checked header of a file."""
    halves = [path[:-4] + '.hdr', path[:-4] + '.img'] if path.endswith(('.hdr', '.img')) else [path]
    for half in halves:
        require_file(half, '' if half == path else f' (the other half of {path})')
    source = halves[0]
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


def _affine(path: str, header: Nifti1Header) -> np.ndarray:
    try:
        return np.asarray(header.get_best_affine(), dtype=float)
    except ValueError as error:  # a qform whose quaternion is longer than one
        raise VolumeError(
            f'{path}: the qform must be a rotation, its quaternion is none ({error}). Set the true affine with '
            f'nibabel: image.set_sform(affine, code=1).'
        ) from None

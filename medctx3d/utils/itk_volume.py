"""NRRD and MetaImage files, read and written with SimpleITK.

ITK's world points left, posterior and up (LPS); this is the one place where it is turned into RAS+ and back.
"""

from __future__ import annotations

import os
import re
from typing import Any

import numpy as np

from medctx3d.utils.volume_header import (
    VolumeError,
    VolumeHeader,
    make_header,
    note_missing_orientation,
    require_file,
)

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

_MAGIC = {'.nrrd': b'NRRD', '.nhdr': b'NRRD'}
# Where a header names the file with its voxels; a list or a pattern of files is left to ITK.
_VOXEL_FILE = re.compile(r'^(?:ElementDataFile\s*=|data ?file:)\s*(\S.*?)\s*$', re.MULTILINE | re.IGNORECASE)
_HEADER_BYTES = 1 << 16
_BITS = re.compile(r'(\d+)-bit (signed integer|unsigned integer|float)$')


def read_itk_header(path: str) -> VolumeHeader:
    """Read and check a header; voxels stay on disk.

    Args:
        path: ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd``. Components of a voxel are channels, as is a fourth axis.

    Raises:
        FileNotFoundError: There is no such file, or its header names a voxel file that is not there.
        VolumeError: Content that is not of the format, or one of the rules of
            :func:`~medctx3d.utils.volume_header.make_header` is broken.
    """
    _check_content(path)
    reader = itk_information(path)
    if (
        path.endswith(('.nrrd', '.nhdr'))
        and 'NRRD_space' not in reader.GetMetaDataKeys()
        and len(reader.GetSize()) == 3
    ):
        note_missing_orientation(
            path, 'its header has no "space"): its axes are taken to point left, posterior and up, as ITK does'
        )
    return stated_header(path, reader)


def read_itk_voxels(path: str, shape: tuple[int, ...]) -> np.ndarray:
    """Read the voxels of a file whose header was read.

    Args:
        path: As :func:`read_itk_header`.
        shape: (X, Y, Z) or (X, Y, Z, C), from the header.

    Returns:
        Voxels in the stored type.

    Raises:
        VolumeError: The voxels are fewer than the header says, or damaged.
    """
    import SimpleITK  # not at the top: half a second that NIfTI alone need not wait

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(path)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise VolumeError(
            f'{path}: the file must hold as many voxels as its header says, undamaged; it is truncated or damaged '
            f'({itk_words(error)}). Fetch or copy it again.'
        ) from None  # its words are in the message
    return itk_array(image).reshape(shape, order='F')


def itk_information(path: str) -> Any:
    """SimpleITK's reader of a file, header read.

    Raises:
        VolumeError: ITK cannot read the header.
    """
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise VolumeError(
            f'{path}: the header must be valid, ITK cannot read it ({itk_words(error)}). Convert or fetch it again.'
        ) from None  # its words are in the message
    return reader


def stated_header(path: str, reader: Any) -> VolumeHeader:
    """What a reader whose header was read states, checked.

    Args:
        path: For the result and the messages.
        reader: From :func:`itk_information`.
    """
    stored = tuple(int(n) for n in reader.GetSize())
    components = reader.GetNumberOfComponents()
    shape = (*stored, components) if components > 1 else stored
    return make_header(path, shape, _affine(reader), itk_dtype(reader))


def itk_dtype(reader: Any) -> np.dtype:
    """Type of one component of a voxel; complex stands for all that are no real numbers."""
    import SimpleITK

    name = SimpleITK.GetPixelIDValueAsString(reader.GetPixelIDValue())
    found = _BITS.search(name)
    if found is None or 'complex' in name:
        return np.dtype(complex)
    kind = {'signed integer': 'i', 'unsigned integer': 'u', 'float': 'f'}[found[2]]
    return np.dtype(f'{kind}{int(found[1]) // 8}')


def itk_array(image: Any) -> np.ndarray:
    """Voxels of a SimpleITK image as (X, Y, Z, ...), first axis fastest in memory, components last."""
    import SimpleITK

    array = SimpleITK.GetArrayFromImage(image)  # ITK lists sizes from the fastest axis, numpy from the slowest
    dimension = image.GetDimension()
    return array.transpose(*range(dimension - 1, -1, -1), *range(dimension, array.ndim))


def itk_words(error: Exception) -> str:
    """What ITK says, without its source lines."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line.partition('): ')[2] or line for line in lines[1:]] or lines
    return '; '.join(said)[:200]


def itk_grid(affine: np.ndarray) -> tuple[list[float], list[float], list[float]]:
    """Direction (9, row by row), spacing and origin as ITK states them, of an affine from voxel to RAS+ in mm."""
    lps = RAS_FROM_LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    return (lps[:3, :3] / spacing).ravel().tolist(), spacing.tolist(), lps[:3, 3].tolist()


def _affine(reader: Any) -> np.ndarray:
    size = len(reader.GetSize())
    direction = np.array(reader.GetDirection()).reshape(size, size)[:3, :3]
    affine = np.eye(4)
    if size >= 3:
        affine[:3, :3] = direction * np.array(reader.GetSpacing())[:3]
        affine[:3, 3] = reader.GetOrigin()[:3]
    return RAS_FROM_LPS @ affine


def _check_content(path: str) -> None:
    """Refuse what is no file of its suffix, and headers whose voxel file is missing."""
    require_file(path)
    with open(path, 'rb') as stream:
        start = stream.read(_HEADER_BYTES)
    magic = _MAGIC.get(os.path.splitext(path)[1], b'')
    kind = 'NRRD' if magic else 'MetaImage'
    if not start.startswith(magic) or (not magic and b'NDims' not in start):
        raise VolumeError(
            f'{path}: must be {kind}, its content starts with {start[:12]!r}. Fetch it again, or give it the suffix '
            f'of what it is.'
        )
    text = start.decode('latin-1')
    found = _VOXEL_FILE.search(re.split(r'\r?\n\r?\n', text)[0] if magic else text)
    name = found[1] if found else 'LOCAL'
    if name.upper() == 'LOCAL' or name.upper().startswith('LIST') or '%' in name:
        return
    voxels = os.path.join(os.path.dirname(path), name)
    if not os.path.exists(voxels):
        raise FileNotFoundError(
            f'{voxels}: no such file, {path} has its voxels there. Put the two files into one folder; if they were '
            f'renamed, correct the name in the header.'
        )

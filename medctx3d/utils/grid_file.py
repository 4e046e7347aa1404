"""Write voxels so that they lie exactly where another file's voxels lie."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from medctx3d.utils.atomic import atomic_path
from medctx3d.utils.itk_volume import itk_grid, itk_information
from medctx3d.utils.volume_file import read_header
from medctx3d.utils.volume_header import ITK_SUFFIXES, NIFTI_SUFFIXES, VolumeError

WRITTEN_SUFFIXES = ('.nii.gz', '.nii', '.nrrd', '.mha')
"""What results can be written as; formats of two files are read only, since two cannot appear at once."""

# Where the voxels lie: all that a result shares with its image. Scaling, display range and notes are not its own.
_NIFTI_GRID = (
    *('pixdim', 'xyzt_units', 'qform_code', 'sform_code', 'quatern_b', 'quatern_c', 'quatern_d'),
    *('qoffset_x', 'qoffset_y', 'qoffset_z', 'srow_x', 'srow_y', 'srow_z'),
)
_NRRD_GRID = re.compile(rb'^(space|space dimension|space directions|space origin|spacings): *(.*?)\r?$', re.MULTILINE)
_NRRD_AXIS = re.compile(rb'\([^)]*\)|\S+')


def result_suffix(image: str | os.PathLike[str]) -> str:
    """Suffix that a result of an image gets: its own format's, ``.nii.gz`` for DICOM.

    Args:
        image: Volume file or DICOM folder.
    """
    name = str(image)
    if name.endswith(('.nrrd', '.nhdr')):
        return '.nrrd'
    return '.mha' if name.endswith(('.mha', '.mhd')) else '.nii.gz'


def write_on_grid(path: str | os.PathLike[str], voxels: np.ndarray, *, like: str | os.PathLike[str]) -> None:
    """Write voxels with the geometry of another file; the file appears whole or not at all.

    Within one format the fields that state the geometry are copied bit for bit: NIfTI's qform and sform with their
    codes, whether or not they agree; MetaImage's direction, spacing and origin; NRRD's space and its directions.
    Between formats the affine is converted, NIfTI storing it in float32.

    Args:
        path: ``.nii.gz``, ``.nii``, ``.nrrd`` or ``.mha``.
        voxels: (X, Y, Z) or (X, Y, Z, C), in the type to store.
        like: File or DICOM folder whose grid they lie on.

    Raises:
        VolumeError: ``path`` has another suffix, or the shapes differ.
        OSError: Writing failed.
    """
    header = read_header(like)
    if voxels.shape[:3] != header.shape[:3]:
        raise VolumeError(
            f'{path}: the result has {voxels.shape[:3]} voxels, {like} has {header.shape[:3]}; '
            'bring it to its grid with to_source_grid first'
        )
    name, source = str(path), str(like)
    if name.endswith(('.nii', '.nii.gz')):
        image = _nifti_image(voxels, source, header.affine)
        with atomic_path(path) as temporary:
            nib.save(image, temporary)
    elif name.endswith(('.nrrd', '.mha')):
        _write_itk(Path(path), voxels, source, header.affine)
    else:
        raise VolumeError(f'{path}: results are written as {", ".join(WRITTEN_SUFFIXES)}; choose one of them')


def _nifti_image(voxels: np.ndarray, source: str, affine: np.ndarray) -> Any:
    if source.endswith(NIFTI_SUFFIXES):
        header: Any = nib.load(source).header
        kind = nib.Nifti2Image if int(header['sizeof_hdr']) == 540 else nib.Nifti1Image
        grid = kind.header_class()
        for (
            field
        ) in _NIFTI_GRID:  # copied, not computed again: a quaternion that is recomputed differs in its last bits
            grid[field] = header[field]
    else:
        kind, grid = nib.Nifti1Image, nib.Nifti1Header()
        grid.set_xyzt_units('mm')
        columns = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
        sheared = not np.allclose(columns.T @ columns, np.eye(3), atol=1e-4)  # which a qform cannot say
        grid.set_qform(affine, code=0 if sheared else 1, strip_shears=True)
        grid.set_sform(affine, code=1)
    image = kind(voxels, None, grid)
    image.set_data_dtype(voxels.dtype)
    return image


def _write_itk(path: Path, voxels: np.ndarray, source: str, affine: np.ndarray) -> None:
    import SimpleITK

    slowest_first = voxels.transpose(2, 1, 0, *range(3, voxels.ndim))
    image = SimpleITK.GetImageFromArray(slowest_first, isVector=voxels.ndim == 4)
    direction, spacing, origin = itk_grid(affine)
    if source.endswith(ITK_SUFFIXES):
        stated = itk_information(source)
        size = len(stated.GetSize())
        direction = np.array(stated.GetDirection()).reshape(size, size)[:3, :3].ravel().tolist()
        spacing, origin = stated.GetSpacing()[:3], stated.GetOrigin()[:3]
    image.SetDirection(direction)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    with atomic_path(path) as temporary:
        SimpleITK.WriteImage(image, str(temporary), True)
        if path.suffix == '.nrrd' and source.endswith(('.nrrd', '.nhdr')):
            _copy_nrrd_grid(Path(source), temporary)


def _copy_nrrd_grid(source: Path, path: Path) -> None:
    """Replace the lines about space in a header by those of another; ITK's own differ in their last digits."""
    head, blank, voxels = path.read_bytes().partition(b'\n\n')
    axes = int(re.search(rb'^dimension: *(\d+)', head, re.MULTILINE)[1])  # type: ignore[index]
    with source.open('rb') as stream:
        theirs = re.split(rb'\r?\n\r?\n', stream.read(1 << 16), maxsplit=1)[0]
    lines = []
    for field, value in _NRRD_GRID.findall(theirs):
        if field in (b'space directions', b'spacings'):  # one entry an axis; none for an axis of channels
            entries = [entry for entry in _NRRD_AXIS.findall(value) if entry.lower() not in (b'none', b'nan')][:3]
            value = b' '.join(entries if axes == 3 else [b'none' if entries[0][:1] == b'(' else b'nan', *entries])
        lines.append(field + b': ' + value)
    ours = [line for line in head.split(b'\n') if not _NRRD_GRID.match(line)]
    path.write_bytes(b'\n'.join([*ours, *lines]) + blank + voxels)

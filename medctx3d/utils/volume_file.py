"""Volume files of every format: one way to read a header, one to read the voxels.

NIfTI is read with nibabel; NRRD, MetaImage and DICOM series with SimpleITK. World coordinates are RAS+ in mm whatever
the format says of itself.
"""

from __future__ import annotations

import os

import numpy as np

from medctx3d.utils.dicom_series import read_series, read_series_header
from medctx3d.utils.itk_volume import read_itk_header, read_itk_voxels
from medctx3d.utils.nifti_volume import read_nifti_header, read_nifti_voxels
from medctx3d.utils.volume_header import (
    ITK_SUFFIXES,
    NIFTI_SUFFIXES,
    SUFFIXES,
    VolumeError,
    VolumeHeader,
    require_file,
    strip_suffix,
)

__all__ = ['SUFFIXES', 'VolumeError', 'VolumeHeader', 'read_header', 'read_volume', 'strip_suffix']


def read_header(path: str | os.PathLike[str]) -> VolumeHeader:
    """Read and check a volume's header; voxels stay on disk.

    Args:
        path: ``.nii``, ``.nii.gz``, either file of a NIfTI ``.hdr`` / ``.img`` pair, ``.nrrd``, ``.nhdr``, ``.mha``,
            ``.mhd``, or a folder that holds the slices of one DICOM series.

    Raises:
        FileNotFoundError: There is no such file, or it lacks the file with its voxels.
        VolumeError: Content that is not what the name says, not 3D or 4D, voxel sizes that are not positive, an
            affine that is not invertible, or a DICOM series with gaps.
    """
    name = os.fspath(path)
    if name.endswith(NIFTI_SUFFIXES):
        return read_nifti_header(name)
    if name.endswith(ITK_SUFFIXES):
        return read_itk_header(name)
    if os.path.isdir(name):
        return read_series_header(name)
    require_file(name)
    raise VolumeError(
        f'{path}: volumes must be NIfTI, NRRD or MetaImage files ({", ".join(SUFFIXES)}) or folders of one DICOM '
        f"series. Convert it, e.g. with SimpleITK: sitk.WriteImage(sitk.ReadImage('{path}'), "
        f"'{strip_suffix(path).partition('.')[0]}.nii.gz')."
    )


def read_volume(path: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    """Read a volume's voxels as stored, without reorientation.

    Slope and intercept are applied where the file has them (NIfTI, DICOM); otherwise the stored type is kept. Gzip
    streams are read to their end, so that their checksum is verified. An uncompressed NIfTI file comes as a memory
    map (copy on write).

    Returns:
        Array (X, Y, Z) or (X, Y, Z, C), and affine (4, 4) float64, voxel index to RAS+ world in mm.

    Raises:
        FileNotFoundError: As :func:`read_header`.
        VolumeError: As :func:`read_header`, or the voxels are fewer than the header says, or fail their checksum.
    """
    name = os.fspath(path)
    if os.path.isdir(name) and not name.endswith(SUFFIXES):
        return read_series(name)
    header = read_header(name)
    if name.endswith(NIFTI_SUFFIXES):
        return read_nifti_voxels(name, header.shape), header.affine
    return read_itk_voxels(name, header.shape), header.affine

"""DICOM series: a folder of slices as one volume, its geometry read from every slice."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from medctx3d.utils.itk_volume import RAS_FROM_LPS, itk_array, itk_dtype, itk_information, itk_words, stated_header
from medctx3d.utils.volume_header import VolumeError, VolumeHeader, make_header

SLICE_TOLERANCE = 0.02
"""How far a slice may lie from its place in an equal spacing, as a part of that spacing."""

_SAME_PLACE = 1e-3  # mm
_POSITION, _ORIENTATION, _EDGES = '0020|0032', '0020|0037', '0028|0030'
_INTERCEPT, _SLOPE = '0028|1052', '0028|1053'
_DESCRIPTION, _MODALITY = '0008|103e', '0008|0060'
_SLICE_SUFFIXES = ('.dcm', '.ima', '.dicom')


class _Slice(NamedTuple):
    file: str
    position: np.ndarray  # (3,) LPS mm, of the first voxel's centre
    turn: np.ndarray  # (6,) directions of the first and the second axis
    edges: np.ndarray  # (2,) mm along the second axis and the first, DICOM's order
    size: tuple[int, int]
    scaling: tuple[float, float]  # slope, intercept


def is_dicom_folder(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a file with the mark or the name of a DICOM slice."""
    with os.scandir(folder) as entries:
        files = sorted(entry.path for entry in entries if entry.is_file() and not entry.name.startswith('.'))
    return any(file.lower().endswith(_SLICE_SUFFIXES) or _marked(file) for file in files)


def read_series_header(folder: str) -> VolumeHeader:
    """Geometry of the one series in a folder, checked slice by slice.

    Args:
        folder: Holds the slices of one series, under any names and in any order; other files are passed over.

    Returns:
        The header; the third axis leads along the slices, a tilted gantry shears it.

    Raises:
        VolumeError: No series or several, slices that differ in size, direction or spacing, that are missing or
            lie upon one another.
    """
    return _read(folder)[0]


def read_series(folder: str) -> tuple[np.ndarray, np.ndarray]:
    """Voxels of the one series in a folder, rescaled as its slices say (HU for CT).

    Returns:
        Array (X, Y, Z) or (X, Y, Z, C), float32 where slices are scaled differently; and affine (4, 4), voxel index to
        RAS+ world in mm.

    Raises:
        VolumeError: As :func:`read_series_header`, or a slice is truncated.
    """
    import SimpleITK

    header, files, mixed = _read(folder)
    try:
        if len(files) == 1:
            image = SimpleITK.ReadImage(files[0])
        else:
            reader = SimpleITK.ImageSeriesReader()
            reader.SetFileNames(files)
            if mixed:  # the type is the first slice's, which need not hold what another's slope gives
                reader.SetOutputPixelType(SimpleITK.sitkFloat32)
            image = reader.Execute()
    except RuntimeError as error:
        raise VolumeError(
            f'{folder}: every slice must be whole, one is truncated or damaged ({itk_words(error)}). '
            f'Export the series again.'
        ) from None  # its words are in the message
    return itk_array(image).reshape(header.shape, order='F'), header.affine


def _read(folder: str) -> tuple[VolumeHeader, list[str], bool]:
    """Header, files in the order of the third axis, and whether their scaling differs."""
    files = _only_series(folder)
    first = itk_information(files[0])
    if len(files) == 1 and len(first.GetSize()) > 2 and first.GetSize()[2] > 1:  # an enhanced, multi-frame file
        return stated_header(folder, first), files, False
    slices = _in_order(folder, [_slice(folder, file) for file in files])
    affine = np.eye(4)
    steps = slices[-1].position - slices[0].position
    affine[:3, 0] = slices[0].turn[:3] * slices[0].edges[1]
    affine[:3, 1] = slices[0].turn[3:] * slices[0].edges[0]
    affine[:3, 2] = steps / (len(slices) - 1)
    affine[:3, 3] = slices[0].position
    mixed = len({found.scaling for found in slices}) > 1
    dtype = np.dtype(np.float32) if mixed else itk_dtype(first)
    stored = (*slices[0].size, len(slices))
    return make_header(folder, stored, RAS_FROM_LPS @ affine, dtype), [found.file for found in slices], mixed


def _only_series(folder: str) -> list[str]:
    import SimpleITK

    shown = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(
        False
    )  # a line for every file that is no slice, and one if none is
    try:
        ids = SimpleITK.ImageSeriesReader.GetGDCMSeriesIDs(folder)
        series = {name: SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(folder, name) for name in ids}
    finally:
        SimpleITK.ProcessObject.SetGlobalWarningDisplay(shown)
    if not series:
        count = len(os.listdir(folder))
        raise VolumeError(
            f'{folder}: a folder that is given as a volume must hold the slices of a DICOM series, none of its '
            f'{count} files is one. Name the volume files in it, or the folder with the slices.'
        )
    if len(series) > 1:
        named = '; '.join(_described(list(files)) for files in series.values())
        raise VolumeError(
            f'{folder}: must hold one DICOM series, it holds {len(series)}: {named}. Copy the one that is meant into '
            f'a folder of its own.'
        )
    [(uid, files)] = series.items()
    _refuse_unreadable(folder, uid, list(files))
    return list(files)


def _refuse_unreadable(folder: str, uid: str, files: list[str]) -> None:
    """Refuse slices of the series that GDCM leaves out because they are cut short."""
    others = {os.path.join(folder, name) for name in os.listdir(folder)} - set(files)
    broken = [file for file in sorted(others) if os.path.isfile(file) and uid.encode() in _start(file)]
    if broken:
        raise VolumeError(
            f'{folder}: every slice must be whole, {len(broken)} cannot be read, the first is '
            f'{os.path.basename(broken[0])}: truncated or damaged. Export the series again.'
        )


def _described(files: list[str]) -> str:
    info = itk_information(files[0])
    name = _tag(info, _DESCRIPTION) or 'without description'
    return f'{name} ({_tag(info, _MODALITY) or "modality not stated"}, {len(files)} files)'


def _slice(folder: str, file: str) -> _Slice:
    info = itk_information(file)
    try:
        position, turn, edges = (_numbers(_tag(info, key)) for key in (_POSITION, _ORIENTATION, _EDGES))
    except ValueError:
        position = turn = edges = np.empty(0)
    if (len(position), len(turn), len(edges)) != (3, 6, 2) or min(edges) <= 0:
        raise VolumeError(
            f'{file}: a slice must state where it lies (ImagePositionPatient, ImageOrientationPatient, PixelSpacing), '
            f'this one does not. Take it out of {folder} if it is no slice (a scout, a report), or export again.'
        )
    scaling = float(_tag(info, _SLOPE) or 1), float(_tag(info, _INTERCEPT) or 0)
    return _Slice(file, position, turn, edges, tuple(info.GetSize()[:2]), scaling)


def _in_order(folder: str, slices: list[_Slice]) -> list[_Slice]:
    """Slices from the lowest to the highest along their normal, seen to share a grid and to leave no gap."""
    first = slices[0]
    for other in slices[1:]:
        same_turn = np.allclose(other.turn, first.turn, atol=1e-3)
        if other.size != first.size or not same_turn or not np.allclose(other.edges, first.edges, rtol=1e-3):
            raise VolumeError(
                f'{folder}: all slices of a series must have one size, direction and voxel size, '
                f'{os.path.basename(other.file)} differs from {os.path.basename(first.file)}. Take scouts and '
                f'reformatted slices out of the folder.'
            )
    normal = np.cross(first.turn[:3], first.turn[3:])
    slices = sorted(slices, key=lambda found: float(found.position @ normal))
    if len(slices) == 1:
        raise VolumeError(f'{folder}: a volume needs at least 2 slices, the series has 1. Export the whole series.')
    height = np.array([found.position @ normal for found in slices])
    gaps = np.diff(height)
    usual = float(np.median(gaps))
    wrong = np.flatnonzero(np.abs(gaps - usual) > SLICE_TOLERANCE * usual)
    if len(wrong) or usual <= _SAME_PLACE:
        raise VolumeError(f'{folder}: {_gap_words(slices, gaps, usual, wrong)}')
    return slices


def _gap_words(slices: list[_Slice], gaps: np.ndarray, usual: float, wrong: np.ndarray) -> str:
    if gaps.min() <= _SAME_PLACE:
        shared = int((gaps <= _SAME_PLACE).sum()) + 1
        return (
            f'slices must lie one behind another, {shared} of {len(slices)} share their place with another. '
            f'It may be a time series or several echoes: export each as a series of its own.'
        )
    place = int(wrong[0])
    between = f'{os.path.basename(slices[place].file)} and {os.path.basename(slices[place + 1].file)}'
    return (
        f'slices must be equally spaced, most are {usual:.4g} mm apart, {len(wrong)} of {len(gaps)} gaps differ, the '
        f'first is {gaps[place]:.4g} mm between {between}. Slices may be missing: export the series again; if it was '
        f'scanned so, resample it to one spacing first.'
    )


def _tag(info: Any, key: str) -> str:
    return info.GetMetaData(key).strip() if info.HasMetaDataKey(key) else ''


def _numbers(text: str) -> np.ndarray:
    return np.array([float(part) for part in text.split('\\')])


def _marked(file: str) -> bool:
    return _start(file)[128:132] == b'DICM'


def _start(file: str) -> bytes:
    with open(file, 'rb') as stream:
        return stream.read(1 << 13)

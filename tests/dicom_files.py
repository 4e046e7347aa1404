"""DICOM slices for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK

_SLOPE = b'\x28\x00\x53\x10\x02\x00\x00\x00'  # tag and length of RescaleSlope


def write_series(
    folder: Path,
    voxels: np.ndarray,
    *,
    direction: np.ndarray | None = None,
    spacing: tuple[float, float, float] = (0.8, 0.9, 2.5),
    origin: tuple[float, float, float] = (-10.0, -20.0, 30.0),
    shear: tuple[float, float, float] = (0.0, 0.0, 0.0),
    left_out: tuple[int, ...] = (),
    backwards: bool = False,
    slopes: tuple[str, ...] = ('1 ',),
    uid: str = '1.2.3',
    description: str = 'Abdomen',
) -> None:
    """Write (X, Y, Z) stored values as one file a slice.

    Args:
        folder: Made where missing.
        voxels: Integers as stored, before slope and intercept.
        direction: (3, 3) columns are the axes in LPS.
        spacing: Millimetres.
        origin: LPS position of the first voxel.
        shear: Millimetres in LPS by which every slice is moved further, as a tilted gantry does.
        left_out: Slices that are not written.
        backwards: Name the files from the last slice to the first.
        slopes: Rescale slopes of two characters, taken in turn; the intercept is 0.
        uid: Of the series.
        description: Of the series.
    """
    folder.mkdir(parents=True, exist_ok=True)
    axes = np.eye(3) if direction is None else direction
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    count = voxels.shape[2]
    for number in set(range(count)) - set(left_out):
        image = SimpleITK.GetImageFromArray(voxels[:, :, number].T.astype(np.int16)[None])
        image.SetSpacing(spacing)
        position = np.array(origin) + number * (axes[:, 2] * spacing[2] + np.array(shear))
        tags = {
            '0008|0008': 'ORIGINAL\\PRIMARY\\AXIAL',
            '0008|0018': f'{uid}.{number + 1}',
            '0008|0060': 'CT',
            '0008|103e': description,
            '0020|000d': '1.2',
            '0020|000e': uid,
            '0020|0013': str(number + 1),
            '0020|0032': _joined(position),
            '0020|0037': _joined([*axes[:, 0], *axes[:, 1]]),
            '0028|1052': '0',
            '0028|1053': '1',
        }
        for key, value in tags.items():
            image.SetMetaData(key, value)
        name = count - number if backwards else number
        file = folder / f'{uid}-{name:03d}.dcm'
        writer.SetFileName(str(file))
        writer.Execute(image)
        slope = slopes[number % len(slopes)].encode()  # the writer would divide the voxels by it
        file.write_bytes(file.read_bytes().replace(_SLOPE + b'1 ', _SLOPE + slope))


def _joined(values) -> str:
    return '\\'.join(f'{float(value):.10g}' for value in values)

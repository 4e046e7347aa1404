"""Which images a model has seen, told by their content: to find them again under any name."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np

from medctx3d.utils.atomic import atomic_path
from medctx3d.utils.volume_file import read_volume
from medctx3d.utils.weights_file import file_digest

FILE_NAME = 'data_manifest.json'
_KEYS = ('case', 'file', 'sha256', 'voxels')


class SeenImage(NamedTuple):
    """One image file.

    Attributes:
        case: Id of its case.
        file: Its name, without folders.
        sha256: Of the file; empty for a folder of DICOM slices.
        voxels: :func:`voxel_digest`.
    """

    case: str
    file: str
    sha256: str
    voxels: str


class SharedImage(NamedTuple):
    """An image that two lists have in common.

    Attributes:
        seen: In the pretraining.
        found: In the split.
        alike: ``file`` if the files are the same, else ``voxels``.
    """

    seen: SeenImage
    found: SeenImage
    alike: str


def voxel_digest(path: str | os.PathLike[str]) -> str:
    """SHA-256 of the voxels of a volume.

    Values are hashed as little-endian float32 (slope and intercept applied, -0 as 0) in the axis order nearest to RAS,
    behind the shape. Name, format, compression, stored type, voxel size, position and the order in which axes are
    stored do not count. A resampled, cropped or rescaled copy has another digest, and so has one whose orientation is
    stated otherwise.

    Args:
        path: As :func:`~medctx3d.utils.volume_file.read_volume`.

    Raises:
        OSError: There is no such file.
        ValueError: It is no volume.
    """
    voxels, affine = read_volume(path)
    turned = nib.orientations.apply_orientation(voxels, nib.orientations.io_orientation(affine))
    digest = hashlib.sha256(repr(tuple(int(side) for side in turned.shape)).encode())
    for plane in turned:  # a volume as float32 in one piece would cost its size again
        values = np.ascontiguousarray(plane, dtype='<f4') + np.float32(0)
        values[np.isnan(values)] = np.nan  # one of the many NaN
        digest.update(values.tobytes())
    return digest.hexdigest()


def see_images(cases: Iterable[tuple[str, Sequence[str]]], known: Iterable[SeenImage] = ()) -> list[SeenImage]:
    """Hash the images of cases.

    Args:
        cases: Id and image paths of each.
        known: Images hashed before: the voxels of a file with the same SHA-256 are not read again.

    Raises:
        OSError: There is no such file.
        ValueError: It is no volume.
    """
    voxels = {image.sha256: image.voxels for image in known if image.sha256}
    seen = []
    for case, paths in cases:
        for path in paths:
            sha256 = '' if os.path.isdir(path) else file_digest(Path(path))
            seen.append(SeenImage(case, Path(path).name, sha256, voxels.get(sha256) or voxel_digest(path)))
    return seen


def shared_images(seen: Iterable[SeenImage], found: Iterable[SeenImage]) -> list[SharedImage]:
    """The images of ``found`` that are in ``seen``, by file or by voxels."""
    by_file: dict[str, SeenImage] = {}
    by_voxels: dict[str, SeenImage] = {}
    for image in seen:
        by_file.setdefault(image.sha256, image)
        by_voxels.setdefault(image.voxels, image)
    shared = []
    for image in found:
        if image.sha256 and image.sha256 in by_file:
            shared.append(SharedImage(by_file[image.sha256], image, 'file'))
        elif image.voxels in by_voxels:
            shared.append(SharedImage(by_voxels[image.voxels], image, 'voxels'))
    return shared


def write_manifest(path: str | Path, images: Sequence[SeenImage]) -> None:
    """Write a manifest, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(dict(images=as_rows(images)), indent=1), encoding='utf-8')


def as_rows(images: Iterable[SeenImage]) -> list[dict[str, str]]:
    """Plain data, for JSON."""
    return [image._asdict() for image in images]


def read_manifest(path: str | Path) -> list[SeenImage]:
    """Read what :func:`write_manifest` wrote.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no manifest.
    """
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8'))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f'{path} must be a data manifest in JSON: {error}') from error
    return from_rows(content.get('images') if isinstance(content, Mapping) else None, path)


def from_rows(rows: Any, path: object) -> list[SeenImage]:
    """The images of a manifest's plain data.

    Args:
        rows: From :func:`as_rows`.
        path: Where they were read, for the message.

    Raises:
        ValueError: They are no such rows.
    """
    if not isinstance(rows, list) or not all(
        isinstance(row, Mapping) and all(isinstance(row.get(key), str) for key in _KEYS) for row in rows
    ):
        raise ValueError(
            f'{path} must list images with {", ".join(_KEYS)}: write it with tools/dataset/make_manifest.py'
        )
    return [SeenImage(*(row[key] for key in _KEYS)) for row in rows]

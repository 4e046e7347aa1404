"""A region map on disk: where it lies, what is known about it, and whether it still belongs to its image."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from medctx3d.datasets.checks import Record, check_same_grid, image_paths
from medctx3d.utils.atomic import atomic_path
from medctx3d.utils.geometry import to_source_grid
from medctx3d.utils.grid_file import write_on_grid
from medctx3d.utils.volume_file import VolumeError, read_header, read_volume

SUFFIX, SIDECAR = '.nii.gz', '.json'
BESIDE = 'beside'
_MAKE = 'make it with tools/dataset/superpixels.py'
_UNFINISHED = 'unfinished'


def region_map_path(record: Record, folder: str | os.PathLike[str] = BESIDE) -> Path:
    """Where a case's region map lies: ``<folder>/<case>.nii.gz``.

    Args:
        record: One case; its id names the file.
        folder: Of the maps; ``'beside'`` is the folder beside the image's, ``imagesTr_regions`` for ``imagesTr``, so
            that no list of images ever takes a map for one.
    """
    if str(folder) == BESIDE:
        images = Path(image_paths(record)[0]).expanduser().absolute().parent
        folder = images.with_name(f'{images.name}_regions')
    return Path(folder) / f'{quote(str(record["case"]), safe=" ")}{SUFFIX}'


def sidecar_path(path: str | os.PathLike[str]) -> Path:
    """The JSON beside a region map that says what it was made of."""
    return Path(str(path).removesuffix(SUFFIX) + SIDECAR)


def channel_file(record: Record, channel: int) -> tuple[str, int]:
    """The file that holds a channel of a case's image, and the channel's place in that file.

    Raises:
        VolumeError: The image has no such channel.
    """
    paths, before = image_paths(record), 0
    for path in paths:
        shape = read_header(path).shape
        held = shape[3] if len(shape) == 4 else 1
        if before <= channel < before + held:
            return path, channel - before
        before += held
    raise VolumeError(f'{paths[0]}: the image has {before} channel(s), counted from 0, there is no {channel}')


def write_region_map(path: Path, regions: np.ndarray, image: str, facts: dict[str, Any]) -> None:
    """Write a map on its image's grid, then its sidecar; each file appears whole or not at all.

    Args:
        path: From :func:`region_map_path`.
        regions: (X, Y, Z) int32 ids from 1, 0 where there is no region.
        image: The file that they were grown in, from :func:`channel_file`.
        facts: What else the sidecar is to hold.

    Raises:
        OSError: Writing failed.
    """
    sidecar = sidecar_path(path)
    stamp = image_stamp(image) | dict(sha256=_digest(image))
    _write_json(sidecar, {_UNFINISHED: True})  # a process that is killed now leaves no map that looks whole
    write_on_grid(path, regions.astype(np.int32), like=image)
    _write_json(sidecar, dict(image=stamp, map_bytes=path.stat().st_size, **facts))


def read_sidecar(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """What is known about a map; None where there is no sidecar, nothing where the map was left unfinished.

    Raises:
        VolumeError: The sidecar is damaged.
    """
    sidecar = sidecar_path(path)
    if not sidecar.is_file():
        return None
    try:
        content = json.loads(sidecar.read_text(encoding='utf-8'))
        missing = {'image', 'map_bytes'} - set(content)
    except (ValueError, TypeError) as error:
        raise VolumeError(
            f'{sidecar}: must be the sidecar of a region map, it is not JSON ({error}): {_MAKE}'
        ) from None
    if missing and _UNFINISHED not in content:
        raise VolumeError(f'{sidecar}: must be the sidecar of a region map, it lacks {sorted(missing)}: {_MAKE}')
    return {} if _UNFINISHED in content else dict(content)


def check_region_map(record: Record) -> None:
    """Refuse a case whose region map cannot be used, from headers, file times and, in doubt, the image's digest.

    A map with a sidecar belongs to the file whose channel it was made of if size and time of that file are as they
    were, or else (a data set that was copied) if its SHA-256 is. One without, from another tool, must not be older
    than any file of the image.

    Args:
        record: With ``regions``, the path of the map.

    Raises:
        FileNotFoundError: There is no map.
        VolumeError: It lies on another grid, is truncated, or was made of another version of the image.
    """
    path, images = Path(record['regions']), image_paths(record)
    if not path.is_file():
        raise FileNotFoundError(f'{path}: case {record["case"]!r} has no region map there: {_MAKE}')
    header = read_header(path)
    if len(header.shape) != 3 or header.dtype.kind not in 'iu':
        raise VolumeError(
            f'{path}: a region map must be 3D with one whole number a voxel, it is {header.dtype} of shape '
            f'{header.shape}: {_MAKE}'
        )
    check_same_grid(read_header(images[0]), header, 'region map')
    known = read_sidecar(path)
    if known is None:
        image = max(images, key=lambda file: image_stamp(file)['mtime_ns'])
        if path.stat().st_mtime_ns < image_stamp(image)['mtime_ns']:
            raise VolumeError(
                f'{path}: the region map is older than its image {image} and has no sidecar {sidecar_path(path).name} '
                f'that says otherwise: {_MAKE}, or touch it if the image was only copied'
            )
        return
    if not known:
        raise VolumeError(f'{path}: the region map was left unfinished: {_MAKE}')
    if path.stat().st_size != known['map_bytes']:
        raise VolumeError(
            f'{path}: the region map must have the {known["map_bytes"]} bytes that its sidecar states, it has '
            f'{path.stat().st_size}: copy it again, or {_MAKE}'
        )
    channel = known.get('settings', {}).get('channel', 0)
    try:
        image, _ = channel_file(record, channel)
    except VolumeError as error:
        raise VolumeError(f'{path}: the region map was made of channel {channel}: {error}: {_MAKE}') from None
    if not made_of(known, image):
        raise VolumeError(
            f'{path}: the region map was made of another version of {image} (the image has changed since): {_MAKE}'
        )


def made_of(known: dict[str, Any], image: str) -> bool:
    """Whether a sidecar speaks of the image as it is now."""
    stated, now = known['image'], image_stamp(image)
    if all(stated.get(key) == value for key, value in now.items()):
        return True
    return bool(stated.get('size') == now['size'] and stated.get('sha256') == _digest(image))


def load_regions(record: Record, affine: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """A case's region map on the working grid, by the nearest voxel.

    Args:
        record: With ``regions``, the path of the map.
        affine: (4, 4) of the working grid, index to world in mm.
        shape: Its voxels (X, Y, Z).

    Returns:
        (1, X, Y, Z) int32; 0 also beyond the map.

    Raises:
        VolumeError: The map holds negative ids or more than 32 bits.
    """
    regions, source = read_volume(record['regions'])
    low, high = int(regions.min()), int(regions.max())
    if low < 0 or high > np.iinfo(np.int32).max:
        raise VolumeError(f'{record["regions"]}: region ids must lie in 0 to 2^31 - 1, they go from {low} to {high}')
    return np.ascontiguousarray(to_source_grid(regions.astype(np.int32), source, affine, shape))[None]


def image_stamp(image: str) -> dict[str, int]:
    """Size and time of a volume file, or of the files of a DICOM folder together."""
    stats = [file.stat() for file in _files(image)]
    return dict(size=sum(stat.st_size for stat in stats), mtime_ns=max(stat.st_mtime_ns for stat in stats))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_path(path) as draft:
        draft.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')


def _files(image: str) -> list[Path]:
    path = Path(image)
    return sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]


def _digest(image: str) -> str:
    digest = hashlib.sha256()
    for file in _files(image):
        with file.open('rb') as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()

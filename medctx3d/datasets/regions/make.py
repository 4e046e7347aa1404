"""Region maps of many cases: what is there is kept, the rest is made in parallel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medctx3d.datasets.checks import Record, check_headers, class_ids
from medctx3d.datasets.parallel import work_through
from medctx3d.datasets.regions.grow import grow_regions
from medctx3d.datasets.regions.purity import describe_regions
from medctx3d.datasets.regions.region_map import (
    channel_file,
    made_of,
    read_sidecar,
    region_map_path,
    sidecar_path,
    write_region_map,
)
from medctx3d.datasets.regions.settings import RegionSettings
from medctx3d.utils.geometry import spacing_of
from medctx3d.utils.volume_file import read_volume


class Job(NamedTuple):
    """One map to make.

    Attributes:
        record: The case.
        path: Of the map.
        settings: How regions are grown.
        channel: Of the image that they are grown in.
        metainfo: ``classes``, ``channels`` and ``label_map`` of the data set.
    """

    record: Record
    path: Path
    settings: RegionSettings
    channel: int
    metainfo: Mapping[str, Any]

    @property
    def image(self) -> str:
        """The file that holds the channel."""
        return channel_file(self.record, self.channel)[0]

    @property
    def made_with(self) -> dict[str, Any]:
        """What the sidecar states of how the map was made."""
        return self.settings.as_json() | dict(channel=self.channel)


def plan_maps(
    records: Sequence[Record],
    folder: str,
    settings: RegionSettings,
    *,
    channel: int = 0,
    metainfo: Mapping[str, Any],
    overwrite: bool = False,
) -> tuple[list[Job], list[Job]]:
    """Which maps are to be made, and which are there already.

    Args:
        records: The cases, ids unique.
        folder: Of the maps; ``'beside'``: see :func:`region_map_path`.
        settings: How.
        channel: Of the images.
        metainfo: Of the data set.
        overwrite: Make maps anew that other settings made.

    Returns:
        The maps to make: missing, unfinished, or of an image that changed since; and those that are kept.

    Raises:
        ValueError: A map of other settings, or one of another tool, is in the way; an image lacks the channel; or
            files of a case do not fit.
        FileNotFoundError: A file of a case is missing.
    """
    waiting: list[Job] = []
    kept: list[Job] = []
    for record in records:
        check_headers(record, metainfo)
        channel_file(record, channel)
        job = Job(record, region_map_path(record, folder), settings, channel, metainfo)
        state = None if overwrite else _state(job)
        (kept if state == 'done' else waiting).append(job)
    return waiting, kept


def make_maps(jobs: Sequence[Job], workers: int = 1, *, progress: bool = True) -> None:
    """Make maps, in ``workers`` processes (in this one if there is one at most).

    Raises:
        ValueError: A volume breaks a rule; the message names the file.
        OSError: A file is missing, or the disk is full.
        ModuleNotFoundError: 3D without numba.
    """
    work_through(make_map, jobs, workers, title='regions', progress=progress)


def make_map(job: Job) -> dict[str, Any]:
    """Make one map and describe it; its sidecar, as it was written.

    Raises:
        As :func:`make_maps`.
    """
    image, affine = read_channel(job.record, job.channel)
    try:
        regions = grow_regions(image, affine, job.settings)
    except ValueError as error:
        raise ValueError(f'{job.image}: {error}') from None
    labels, path = None, job.record.get('label')
    if path and job.metainfo.get('classes'):
        labels = class_ids(read_volume(path)[0], str(path), job.metainfo)
    facts = describe_regions(regions, spacing_of(affine), labels, job.metainfo.get('classes') or ())
    job.path.parent.mkdir(parents=True, exist_ok=True)
    write_region_map(job.path, regions, job.image, dict(settings=job.made_with, **facts))
    return read_sidecar(job.path) or {}


def read_channel(record: Record, channel: int) -> tuple[np.ndarray, np.ndarray]:
    """One channel (X, Y, Z) of a case's image as stored, and the affine (4, 4).

    Raises:
        ValueError: The image has no such channel.
    """
    path, place = channel_file(record, channel)
    voxels, affine = read_volume(path)
    return np.asarray(voxels if voxels.ndim == 3 else voxels[..., place]), affine


def _state(job: Job) -> str | None:
    """``done`` if the map is there, whole, of this image and of these settings."""
    if not job.path.is_file():
        return None
    known = read_sidecar(job.path)
    if known is None:
        raise ValueError(
            f'{job.path}: is in the way: it has no sidecar {sidecar_path(job.path).name}, so it was made elsewhere; '
            'use --overwrite, or another --out-dir'
        )
    if not known:
        return None
    stated = known.get('settings', {})
    other = [
        f'{key} {stated.get(key)!r}, not {value!r}' for key, value in job.made_with.items() if stated.get(key) != value
    ]
    if other:
        raise ValueError(
            f'{job.path}: was made with other settings ({"; ".join(other)}): use --overwrite, or another --out-dir'
        )
    whole = job.path.stat().st_size == known['map_bytes']
    return 'done' if whole and made_of(known, job.image) else None

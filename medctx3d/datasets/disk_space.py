"""Does what will be prepared fit on the disk?"""

from __future__ import annotations

import errno
import logging
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log

from medctx3d.datasets.checks import image_paths
from medctx3d.datasets.pipeline import transform_name
from medctx3d.utils.volume_file import read_header


def check_disk_space(
    root: Path, records: Sequence[dict[str, Any]], load_pipeline: Sequence[dict], image_dtype: str
) -> None:
    """Refuse to start preparing what cannot fit.

    Where a transform crops, the need is known as an upper bound only; then a shortage is said, not refused.

    Args:
        root: An existing folder on the disk in question.
        records: Cases to prepare.
        load_pipeline: Configs of the transforms before storing.
        image_dtype: Of the stored image.

    Raises:
        OSError: The volumes need more than is free.
    """
    need = sum(stored_bytes(record, load_pipeline, image_dtype) for record in records)
    free = shutil.disk_usage(root).free
    if need <= free:
        return
    message = f'{root}: preparing {len(records)} volumes needs {_size(need)}, {_size(free)} are free'
    if changes_extent(load_pipeline):
        print_log(f'{message}; cropping may make it fit', logger='current', level=logging.WARNING)
        return
    raise OSError(errno.ENOSPC, f'{message}: free some space or choose another root= for the store')


def _size(count: int) -> str:
    return f'{count / 1e9:.1f} GB' if count >= 1e9 else f'{count / 1e6:.1f} MB'


def stored_bytes(record: dict[str, Any], load_pipeline: Sequence[dict], image_dtype: str) -> int:
    """Bytes of one prepared case, from its headers; what a transform crops is not taken off."""
    images = image_paths(record)
    header = read_header(images[0])
    channels = len(images) if len(images) > 1 or len(header.shape) < 4 else header.shape[3]
    voxels: float = math.prod(header.shape[:3])
    spacing = target_spacing(load_pipeline)
    if spacing is not None:
        voxels *= math.prod(header.spacing[:3]) / math.prod(spacing)
    label_bytes = 1 if record.get('label') else 0
    region_bytes = 4 if record.get('regions') else 0
    return int(voxels * (channels * np.dtype(image_dtype).itemsize + label_bytes + region_bytes))


def target_spacing(load_pipeline: Sequence[dict]) -> Sequence[float] | None:
    """Voxel edges in mm that the pipeline resamples to, where it says so for all three axes."""
    for cfg in load_pipeline:
        if transform_name(cfg).startswith('Spacing') and isinstance(cfg.get('pixdim'), (list, tuple)):
            pixdim = cfg['pixdim']
            if len(pixdim) == 3 and all(edge > 0 for edge in pixdim):
                return pixdim
    return None


def changes_extent(load_pipeline: Sequence[dict]) -> bool:
    """Whether a transform crops or pads, so that sizes on the disk are not known beforehand."""
    return any(word in transform_name(cfg) for cfg in load_pipeline for word in ('Crop', 'Resize', 'Pad', 'Zoom'))

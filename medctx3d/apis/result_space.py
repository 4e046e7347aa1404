"""Will the results fit on the disk? Known from the headers, before the first case."""

from __future__ import annotations

import errno
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from medctx3d.utils.sizes import show_size
from medctx3d.utils.volume_header import VolumeHeader

COMPRESSED = 0.02
"""Part that gzip leaves of label volumes; organs of a whole abdomen need about 0.005."""

_SMALLEST = 4096


def check_result_space(out: Path, headers: Mapping[str, VolumeHeader], *, bytes_per_voxel: float = 0.0) -> None:
    """Refuse to start what cannot fit.

    Args:
        out: Folder for the results.
        headers: Header of the image by name of the result that is still to be made.
        bytes_per_voxel: Of further files, such as probabilities.

    Raises:
        OSError: The need, estimated, is more than what is free.
    """
    need = sum(_bytes(name, header, bytes_per_voxel) for name, header in headers.items())
    free = shutil.disk_usage(out).free
    if need > free:
        raise OSError(
            errno.ENOSPC,
            f'{out}: {len(headers)} results need about {show_size(need)}, {show_size(free)} are free: free some '
            'space, choose another output folder, or fewer inputs',
        )


def _bytes(name: str, header: VolumeHeader, bytes_per_voxel: float) -> int:
    voxels = math.prod(header.shape[:3])
    labels = 1.0 if os.path.splitext(name)[1] == '.nii' else COMPRESSED
    return _SMALLEST + int(voxels * (labels + bytes_per_voxel))

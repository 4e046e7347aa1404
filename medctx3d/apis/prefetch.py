"""Read the next case while the network works on this one."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from medctx3d.datasets.disk_space import target_spacing
from medctx3d.utils.volume_header import VolumeHeader

Item = TypeVar('Item')
Loaded = TypeVar('Loaded')

_COPIES = 3  # of a float32 volume while it is prepared: as read, oriented, resampled
_SHARE = 0.5  # of what is free, for the case that is read ahead


def prefetched(
    items: Iterator[Item], load: Callable[[Item], Loaded], may_prefetch: Callable[[Item], bool]
) -> Iterator[tuple[Item, Future[Loaded]]]:
    """Items with what ``load`` gives for them, the next one being loaded meanwhile.

    Args:
        items: Taken one at a time; the next one only once this one is loaded and ``may_prefetch`` agrees.
        load: Runs in one thread; what it raises comes out of the future.
        may_prefetch: Asked with the item at hand whether another may be loaded beside it.
    """
    with ThreadPoolExecutor(1) as pool:
        item = next(items, None)
        future = None if item is None else pool.submit(load, item)
        while item is not None and future is not None:
            wait([future])
            ahead = next(items, None) if may_prefetch(item) else None
            coming = None if ahead is None else pool.submit(load, ahead)
            yield item, future
            item = ahead if ahead is not None else next(items, None)
            future = pool.submit(load, item) if coming is None and item is not None else coming


def prepared_bytes(header: VolumeHeader, channels: int, load_pipeline: Sequence[dict]) -> int:
    """Memory that a case may need while it is prepared.

    Args:
        header: Of its image.
        channels: Of the model.
        load_pipeline: Configs of transforms; a spacing that they resample to is heeded.
    """
    voxels = float(math.prod(header.shape[:3]))
    spacing = target_spacing(load_pipeline)
    if spacing is not None:
        voxels = max(voxels, voxels * math.prod(header.spacing) / math.prod(spacing))
    return int(voxels * channels * 4 * _COPIES)


def has_room(need: int) -> bool:
    """Whether so many bytes are less than half of the free memory; no, where the system does not say what is free."""
    try:
        with open('/proc/meminfo', encoding='ascii') as stream:
            free = next(int(line.split()[1]) * 1024 for line in stream if line.startswith('MemAvailable'))
    except (OSError, StopIteration):
        if 'SC_AVPHYS_PAGES' not in getattr(os, 'sysconf_names', {}):
            return False
        free = os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    return need < _SHARE * free

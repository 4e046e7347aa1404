"""How a volume is predicted within a bound on memory, decided before it is read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch

from medctx3d.inference.slab import CHUNK_BYTES
from medctx3d.inference.streamed_window_inferer import StreamedWindowInferer
from medctx3d.typing import Size3
from medctx3d.utils.sizes import show_size

# Temporary copies of the planes at hand while they become labels: classes, mixtures, what a sink makes of them.
_CHUNK_COPIES = 6


class MemoryLimitError(ValueError):
    """A volume cannot be predicted within the memory that was granted; the message has the figures."""


class CaseSize(NamedTuple):
    """What the memory of a prediction depends on.

    Attributes:
        stored: Bytes of the voxels as they lie in the file.
        source: Voxels of the file's grid.
        working: (X, Y, Z) voxels of the working grid, before any crop.
        channels: Channels C of the image.
        classes: Classes K.
        copies: Float32 volumes that the load pipeline holds at once.
    """

    stored: int
    source: int
    working: Size3
    channels: int
    classes: int
    copies: int = 2


class Footprint(NamedTuple):
    """What the process and the network need, whatever the volume.

    Attributes:
        host: Bytes that the process holds before the first volume.
        device: Bytes on an accelerator likewise; 0 without one.
        window: Bytes that the network takes for one window, where it runs.
        accelerator: Whether the network runs on one.
    """

    host: int
    device: int
    window: int
    accelerator: bool


class MemoryPlan(NamedTuple):
    """How a volume is predicted, and what that takes.

    Attributes:
        sw_batch_size: Windows shown to the network at once.
        device: Where scores are summed: ``cpu``, or None for where the network runs.
        dtype: Of that sum.
        host: Bytes by what holds them in memory at its fullest moment.
        accelerator: Likewise on the accelerator; empty without one.
    """

    sw_batch_size: int
    device: str | None
    dtype: torch.dtype
    host: dict[str, int]
    accelerator: dict[str, int]

    @property
    def host_bytes(self) -> int:
        """Bytes of memory at its fullest moment."""
        return sum(self.host.values())

    @property
    def device_bytes(self) -> int:
        """Bytes on the accelerator at its fullest moment."""
        return sum(self.accelerator.values())

    def apply(self, inferer: StreamedWindowInferer) -> None:
        """Make an inferer work so."""
        inferer.sw_batch_size, inferer.device, inferer.dtype = self.sw_batch_size, self.device, self.dtype


def plan_memory(
    case: CaseSize, inferer: StreamedWindowInferer, footprint: Footprint, limit: int | None, name: str
) -> MemoryPlan:
    """The quickest way to predict a volume that stays within a bound.

    Fewer windows at once come first, then sums on the host, then sums in half precision, which may decide near ties
    otherwise.

    Args:
        case: The volume.
        inferer: Its windows; what it was built with is the first choice.
        footprint: Of process and network.
        limit: Bytes for host and accelerator each; None takes the first choice.
        name: Of the case, for the message.

    Raises:
        MemoryLimitError: No way does.
    """
    plans = list(_plans(case, inferer, footprint))
    fitting = [plan for plan in plans if limit is None or max(plan.host_bytes, plan.device_bytes) <= limit]
    if fitting:
        return fitting[0]
    least = min(plans, key=lambda plan: max(plan.host_bytes, plan.device_bytes))
    parts = least.host if least.host_bytes >= least.device_bytes else least.accelerator
    told = ', '.join(f'{what} {show_size(count)}' for what, count in parts.items())
    raise MemoryLimitError(
        f'{name}: {" x ".join(map(str, case.working))} voxels on the working grid with {case.classes} classes need at '
        f'least {show_size(sum(parts.values()))} ({told}), max_memory is {show_size(limit or 0)}: grant more, or '
        'choose a smaller model.inferer.roi_size or a coarser spacing'
    )


def _plans(case: CaseSize, inferer: StreamedWindowInferer, footprint: Footprint) -> Iterator[MemoryPlan]:
    batches = [inferer.sw_batch_size]
    while batches[-1] > 1:
        batches.append(batches[-1] // 2)
    places = [inferer.device, 'cpu'] if footprint.accelerator and inferer.device != 'cpu' else [inferer.device]
    for dtype in dict.fromkeys((inferer.dtype, torch.float16)):
        for place in places:
            for batch in batches:
                yield _plan(case, inferer, footprint, batch, place, dtype)


def _plan(
    case: CaseSize,
    inferer: StreamedWindowInferer,
    footprint: Footprint,
    batch: int,
    place: str | None,
    dtype: torch.dtype,
) -> MemoryPlan:
    grid = inferer.grid(case.working)
    volume = 4 * case.channels * math.prod(case.working)
    sums = dtype.itemsize * (case.classes + 1) * math.prod(grid.slab_shape) + _CHUNK_COPIES * CHUNK_BYTES
    windows = batch * footprint.window
    on_host = not footprint.accelerator or place == 'cpu'
    predicting = {'the volume': volume, 'labels': 2 * case.source}
    accelerator: dict[str, int] = {}
    if footprint.accelerator:
        accelerator = {'the network': footprint.device, 'the volume': volume, 'windows': windows}
    else:
        predicting['windows'] = windows
    (predicting if on_host else accelerator)['sums of scores'] = sums
    loading = {'the file': case.stored, 'volumes while loading': case.copies * volume}
    fullest = max((loading, predicting), key=lambda parts: sum(parts.values()))
    return MemoryPlan(batch, place, dtype, {'the program': footprint.host, **fullest}, accelerator)

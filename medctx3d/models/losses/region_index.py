"""Where the voxels of each region are, as tensors: nothing here waits for the device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class RegionIndex(NamedTuple):
    """The regions of a batch of maps, by slot; V = X * Y * Z, and there are as many slots as voxels.

    Attributes:
        ids: (N, V) the id of every voxel, sorted.
        order: (N, V) the voxels in that order.
        slot_ids: (N, V) id of each slot, growing; 0 in slots that are not used.
        first: (N, V) where a slot's voxels begin in ``order``.
        counts: (N, V) how many it has.
        eligible: (N, V) bool, slots that a draw may take.
        leaked: (N, V) bool, slots whose intensities spread too far.
        means: (N, V) mean intensity of a slot; 0 without intensities.
    """

    ids: Tensor
    order: Tensor
    slot_ids: Tensor
    first: Tensor
    counts: Tensor
    eligible: Tensor
    leaked: Tensor
    means: Tensor

    def find(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Slots (N, ...) of region ids (N, ...), and the numbers of voxels, 0 where a region is not on the map."""
        wanted = ids.flatten(1).contiguous()
        start = torch.searchsorted(self.ids, wanted)
        counts = torch.searchsorted(self.ids, wanted, right=True) - start
        slots = torch.searchsorted(self.first, start, right=True) - 1
        return slots.view_as(ids), counts.view_as(ids)

    def voxels(self, slots: Tensor, offsets: Tensor) -> Tensor:
        """Flat voxel indices (N, R, K) of the ``offsets`` (N, R, K) within ``slots`` (N, R)."""
        first = self.first.gather(1, slots.flatten(1)).view_as(slots)
        places = (first[..., None] + offsets).clamp_max(self.order.shape[1] - 1)
        return self.order.gather(1, places.flatten(1)).view_as(places)


def index_regions(
    regions: Tensor, intensities: Tensor | None = None, *, min_voxels: int = 1, max_deviation: float | None = None
) -> RegionIndex:
    """Sort the voxels of every map by region.

    Args:
        regions: (N, 1, X, Y, Z) integer ids; 0 and below is no region.
        intensities: (N, 1, X, Y, Z); needed for ``max_deviation`` and means.
        min_voxels: Regions with fewer voxels on this map are not eligible.
        max_deviation: Nor are those whose intensities have a larger standard deviation.
    """
    ids, order = regions.flatten(1).sort(dim=1, stable=True)
    begins = torch.ones_like(ids, dtype=torch.long)
    begins[:, 1:] = ids[:, 1:] != ids[:, :-1]
    slots = begins.cumsum(dim=1) - 1
    counts = torch.zeros_like(slots).scatter_add_(1, slots, torch.ones_like(slots))
    slot_ids = torch.zeros_like(ids).scatter_(1, slots, ids)
    eligible = (slot_ids > 0) & (counts >= min_voxels)
    leaked = torch.zeros_like(eligible)
    means = torch.zeros(ids.shape, device=ids.device)
    if intensities is not None:
        values = intensities.flatten(1).float()
        centre = values.mean(dim=1, keepdim=True)  # squares of what is centred keep their digits
        values = (values - centre).gather(1, order)
        per_slot = counts.clamp_min(1)
        means = torch.zeros_like(values).scatter_add_(1, slots, values) / per_slot
        squares = torch.zeros_like(values).scatter_add_(1, slots, values.square()) / per_slot
        if max_deviation is not None:
            leaked = (squares - means.square()).clamp_min(0).sqrt() > max_deviation
        means = means + centre
    return RegionIndex(ids, order, slot_ids, counts.cumsum(dim=1) - counts, counts, eligible & ~leaked, leaked, means)


def neighbours(rows: Tensor, columns: Tensor, count: tuple[int, int]) -> Tensor:
    """Which of two sets of regions touch, by a common face of two voxels.

    Args:
        rows: (N, X, Y, Z) index into the first set, -1 elsewhere.
        columns: (N, X, Y, Z) index into the second.
        count: Sizes of the sets, R and P.

    Returns:
        (N, R, P) bool.
    """
    touching = rows.new_zeros((len(rows), count[0] + 1, count[1] + 1), dtype=torch.bool)  # index -1 is the last
    volume = torch.arange(len(rows), device=rows.device)
    for axis in (1, 2, 3):
        length = rows.shape[axis] - 1
        if length < 1:
            continue
        low = [maps.narrow(axis, 0, length).flatten(1) for maps in (rows, columns)]
        high = [maps.narrow(axis, 1, length).flatten(1) for maps in (rows, columns)]
        batch = volume[:, None].expand_as(low[0])
        touching[batch, low[0], high[1]] = True
        touching[batch, high[0], low[1]] = True
    return touching[:, : count[0], : count[1]]

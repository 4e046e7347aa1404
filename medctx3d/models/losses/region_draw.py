"""Which voxels one step of a region contrast compares."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from medctx3d.models.losses.region_index import RegionIndex, neighbours

Positive = Literal['region', 'corresponding', 'prototype']
Spare = Literal['none', 'adjacent', 'similar']
POOL = 1024  # regions of a map among which negatives are drawn; a map with more is drawn from at random


class RegionDraw(NamedTuple):
    """Voxels that one step compares; R regions, K anchors of each, M negatives.

    Attributes:
        anchors: (N, R, K) flat voxel indices in the student's features.
        positives: (N, R, K) in the other features.
        negatives: (N, R, M) in the other features.
        kept: (N, R, M) bool, False for negatives that may belong to the same organ.
        valid: (N, R) bool, False where a map has fewer regions than R.
    """

    anchors: Tensor
    positives: Tensor
    negatives: Tensor
    kept: Tensor
    valid: Tensor


def draw_regions(
    mine: RegionIndex,
    theirs: RegionIndex,
    *,
    max_regions: int,
    anchors: int,
    negatives: int,
    positive: Positive = 'region',
    spare: Spare = 'none',
    spare_below: float = 0.0,
    grid: tuple[int, ...] = (),
) -> RegionDraw:
    """Draw regions evenly, anchors and positives in them, and negatives in other regions, drawn evenly too.

    Args:
        mine: Regions of the student's view.
        theirs: Of the other view; the same object where both views are the same voxels.
        max_regions: R.
        anchors: K.
        negatives: M.
        positive: See :class:`RegionContrastLoss`.
        spare: Likewise.
        spare_below: Likewise.
        grid: (x, y, z) of the other view, for ``adjacent``.
    """
    one_map = theirs is mine
    shared = mine.eligible
    if not one_map:  # seen there too, and whole there: a positive beyond the border would be of another organ
        slots, seen = theirs.find(mine.slot_ids)
        shared = shared & (seen > 0) & ~theirs.leaked.gather(1, slots)
    chosen, valid = _choose(shared, max_regions)
    pool, there = _choose(theirs.eligible, POOL)
    ids, own = mine.slot_ids.gather(1, chosen), mine.counts.gather(1, chosen)
    slots, sizes = theirs.find(ids)  # of the chosen regions in the other view
    offsets = _uniform(own, anchors)
    of_anchors = mine.voxels(chosen, offsets)
    if positive == 'corresponding':
        positives = of_anchors
    elif one_map:  # another voxel, wherever the region has two
        another = (offsets + 1 + _uniform(own - 1, anchors)) % own.clamp_min(1)[..., None]
        positives = mine.voxels(chosen, another)
    else:
        positives = theirs.voxels(slots, _uniform(sizes, anchors))
    picked, enough = _other_regions(theirs.slot_ids.gather(1, pool), there, ids, negatives)
    others = pool.gather(1, picked.flatten(1)).view_as(picked)
    inside = _uniform(theirs.counts.gather(1, others.flatten(1)), 1).view_as(others)
    kept = torch.ones_like(picked, dtype=torch.bool)
    if spare != 'none':
        means = theirs.means.gather(1, others.flatten(1)).view_as(others)
        spared = (mine.means.gather(1, chosen)[..., None] - means).abs() < spare_below
        if spare == 'adjacent':
            rows = _places(theirs, slots, valid).view(len(slots), *grid)
            columns = _places(theirs, pool, there).view(len(pool), *grid)
            spared &= neighbours(rows, columns, (slots.shape[1], pool.shape[1])).gather(2, picked)
        kept = ~spared
    from_others = theirs.voxels(others.flatten(1), inside.flatten(1)[..., None]).view_as(others)
    return RegionDraw(of_anchors, positives, from_others, kept, valid & enough & kept.any(dim=2))


def _choose(eligible: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Random slots (N, R) among the eligible (N, V), and which of them are such."""
    luck = torch.rand(eligible.shape, device=eligible.device).masked_fill(~eligible, -1.0)
    values, slots = luck.topk(min(most, eligible.shape[1]), dim=1)
    return slots, values >= 0


def _uniform(counts: Tensor, draws: int) -> Tensor:
    """(N, R, draws) offsets below ``counts`` (N, R); 0 where there is nothing to draw from."""
    share = torch.rand((*counts.shape, draws), device=counts.device)
    return (share * counts[..., None]).long().minimum((counts - 1).clamp_min(0)[..., None])


def _other_regions(pool_ids: Tensor, there: Tensor, ids: Tensor, draws: int) -> tuple[Tensor, Tensor]:
    """Places (N, R, draws) in the pool, never that of the region itself, and where there are others (N, R)."""
    same = (pool_ids[:, None] == ids[..., None]) & there[:, None]
    among, place = same.any(dim=2), same.long().argmax(dim=2)
    others = there.sum(dim=1, keepdim=True) - among.long()
    picked = _uniform(others, draws)
    return picked + ((picked >= place[..., None]) & among[..., None]).long(), others > 0


def _places(index: RegionIndex, slots: Tensor, counts: Tensor) -> Tensor:
    """(N, V) for each voxel the place of its region among ``slots`` (N, R) where ``counts`` (N, R), -1 elsewhere."""
    unused = index.first.shape[1]
    places = index.first.new_full((len(slots), unused + 1), -1)
    numbers = torch.arange(slots.shape[1], device=slots.device).expand_as(slots)
    places.scatter_(1, torch.where(counts, slots, unused), numbers)
    found, _ = index.find(index.ids)
    return torch.empty_like(index.first).scatter_(1, index.order, places.gather(1, found))

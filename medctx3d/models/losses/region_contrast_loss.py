"""Contrast between regions of a volume, by sampling."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medctx3d.models.losses.region_draw import Positive, RegionDraw, Spare, draw_regions
from medctx3d.models.losses.region_index import index_regions
from medctx3d.registry import LOSSES


@LOSSES.register_module()
class RegionContrastLoss(nn.Module):
    r"""Pull features of one region together and regions apart (LRC, arXiv 2304.03406), always in fp32.

    For an anchor a of region r, a positive p of the same region and M negatives n of other regions, all of unit
    length, with the positive and the negatives from the other view:

    .. math:: l(a) = -\log \frac{e^{a p / t}}{e^{a p / t} + \sum_{n=1}^{M} e^{a n / t}}

    The loss is the mean over regions of the mean over their anchors, so that a large region counts as much as a small
    one. Regions of the negatives are drawn evenly as well, and then a voxel in them.

    No code of the method is public and its sampling is not known to us in detail; docs/explanation/region_contrast.md
    says what is the paper's and what is this project's reading.

    Args:
        max_regions: R, regions drawn per volume and step.
        anchors: K.
        negatives: M.
        temperature: t.
        positive: ``region``: another voxel of the region, in the other view; ``corresponding``: the same voxel there;
            ``prototype``: the mean of K voxels of the region there.
        min_voxels: Regions with fewer voxels in the features' grid give no anchors on the first view and no negatives
            on the other.
        max_deviation: Regions whose intensities spread more (standard deviation) on either view take no part: they
            leaked over a border. In units of ``intensities``; None: all take part.
        spare: Negatives that are left out because they may be a part of the same organ: ``similar`` ones, whose
            region's mean intensity differs by less than ``spare_below``; ``adjacent`` ones, which touch the region as
            well; or ``none``.
        spare_below: In units of ``intensities``: 15 HU are 15 / 400 where a window of 400 HU was scaled to 0..1.

    Raises:
        ValueError: An unknown choice, or a value outside its range.
    """

    def __init__(
        self,
        *,
        max_regions: int = 32,
        anchors: int = 8,
        negatives: int = 256,
        temperature: float = 0.1,
        positive: Positive = 'region',
        min_voxels: int = 8,
        max_deviation: float | None = None,
        spare: Spare = 'none',
        spare_below: float = 0.0,
    ) -> None:
        super().__init__()
        for name, value, known in (('positive', positive, Positive), ('spare', spare, Spare)):
            if value not in get_args(known):
                raise ValueError(f'RegionContrastLoss: {name} must be one of {get_args(known)}, got {value!r}')
        counts = dict(max_regions=max_regions, anchors=anchors, negatives=negatives, min_voxels=min_voxels)
        for name, count in counts.items():
            if count < 1:
                raise ValueError(f'RegionContrastLoss: {name} must be at least 1, got {count}')
        if temperature <= 0 or (max_deviation is not None and max_deviation <= 0):
            raise ValueError(
                'RegionContrastLoss: temperature and max_deviation must be positive, got '
                f'{temperature} and {max_deviation}'
            )
        if (spare == 'none') != (spare_below == 0) or spare_below < 0:
            raise ValueError(
                "RegionContrastLoss: spare needs spare_below > 0, a difference of intensities, and spare='none' none; "
                f'got spare={spare!r} and spare_below={spare_below}'
            )
        self.max_regions, self.anchors, self.negatives = max_regions, anchors, negatives
        self.temperature = temperature
        self.positive = positive
        self.min_voxels, self.max_deviation = min_voxels, max_deviation
        self.spare, self.spare_below = spare, spare_below

    def forward(
        self,
        features: Tensor,
        regions: Tensor,
        *,
        other: Tensor | None = None,
        other_regions: Tensor | None = None,
        intensities: Tensor | None = None,
        other_intensities: Tensor | None = None,
    ) -> Tensor:
        """Draw voxels and compare them.

        Args:
            features: (N, C, x, y, z) of the student.
            regions: (N, 1, X, Y, Z) integer ids from 1, 0 where there is no region; brought to the features' grid by
                the nearest voxel.
            other: (N, C, x, y, z) of the other view, through which no gradient flows. None: ``features`` themselves,
                at other voxels and with gradient.
            other_regions: Map of the other view, the same ids; None: ``regions``, the views cover the same voxels.
            intensities: (N, 1, X, Y, Z) before any change of intensities; for ``spare`` and ``max_deviation``.
            other_intensities: Of the other view; None: ``intensities``.

        Returns:
            Scalar, fp32; 0 where no volume has two regions.
        """
        grid = features.shape[2:]
        draw = self.draw(
            to_grid(regions, grid),
            other_regions=None if other_regions is None else to_grid(other_regions, grid),
            intensities=None if intensities is None else to_grid(intensities, grid),
            other_intensities=None if other_intensities is None else to_grid(other_intensities, grid),
            two_views=other is not None,
        )
        return self.compare(features, draw, other=None if other is None else other.detach())

    def draw(
        self,
        regions: Tensor,
        *,
        other_regions: Tensor | None = None,
        intensities: Tensor | None = None,
        other_intensities: Tensor | None = None,
        two_views: bool = True,
    ) -> RegionDraw:
        """Choose regions and voxels; all maps (N, 1, x, y, z) on the grid of the features.

        Raises:
            ValueError: An option needs what is not given.
        """
        self._check(intensities, other_regions is not None, two_views)
        index = partial(index_regions, min_voxels=self.min_voxels, max_deviation=self.max_deviation)
        mine = index(regions, intensities)
        theirs = mine
        if other_regions is not None:
            seen = intensities if other_intensities is None else other_intensities
            theirs = index(other_regions, seen)
        return draw_regions(
            mine,
            theirs,
            max_regions=self.max_regions,
            anchors=self.anchors,
            negatives=self.negatives,
            positive=self.positive,
            spare=self.spare,
            spare_below=self.spare_below,
            grid=tuple(regions.shape[2:]),
        )

    def compare(
        self,
        features: Tensor,
        draw: RegionDraw,
        *,
        other: Tensor | None = None,
        project: Callable[[Tensor], Tensor] | None = None,
        project_other: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """The loss on drawn voxels.

        Args:
            features: (N, C, x, y, z).
            draw: From :meth:`draw`, on the same grid.
            other: Features of the other view; None: ``features``.
            project: From rows (..., C) to rows (..., D). Projecting the drawn rows equals convolving the whole map
                with 1x1x1 kernels and then drawing, at a fraction of the memory.
            project_other: For the other view; None: ``project``.
        """
        second = project if project_other is None else project_other
        anchors = _rows(features, draw.anchors, project)
        their = features if other is None else other
        positives, negatives = _rows(their, draw.positives, second), _rows(their, draw.negatives, second)
        with torch.autocast(device_type=features.device.type, enabled=False):
            if self.positive == 'prototype':
                positives = F.normalize(positives.float(), dim=-1).mean(dim=2, keepdim=True)
            return region_info_nce(
                anchors, positives, negatives, kept=draw.kept, valid=draw.valid, temperature=self.temperature
            )

    def _check(self, intensities: Tensor | None, two_maps: bool, two_views: bool) -> None:
        if intensities is None and (self.max_deviation is not None or self.spare != 'none'):
            raise ValueError('RegionContrastLoss: spare and max_deviation look at intensities: give intensities=')
        if self.positive == 'corresponding' and (two_maps or not two_views):
            raise ValueError(
                "RegionContrastLoss: positive='corresponding' needs a second view of the same voxels (a teacher's "
                "answer): use positive='region'"
            )


def region_info_nce(
    anchors: Tensor, positives: Tensor, negatives: Tensor, *, kept: Tensor, valid: Tensor, temperature: float
) -> Tensor:
    """InfoNCE of drawn vectors, balanced over regions.

    Args:
        anchors: (N, R, K, D) of any length.
        positives: (N, R, K, D), or (N, R, 1, D) for all anchors of a region.
        negatives: (N, R, M, D).
        kept: (N, R, M) bool, negatives that count.
        valid: (N, R) bool, regions that count.
        temperature: t.

    Returns:
        Scalar, at least fp32.
    """
    dtype = torch.float64 if anchors.dtype == torch.float64 else torch.float32
    anchors, positives, negatives = (F.normalize(rows.to(dtype), dim=-1) for rows in (anchors, positives, negatives))
    alike = (anchors * positives).sum(dim=-1, keepdim=True) / temperature
    unlike = anchors @ negatives.transpose(-1, -2) / temperature
    unlike = unlike.masked_fill(~kept[:, :, None], float('-inf'))
    terms = torch.cat([alike, unlike], dim=-1).logsumexp(dim=-1) - alike[..., 0]
    per_region = terms.mean(dim=-1) * valid
    return per_region.sum() / valid.sum().clamp_min(1)


def same_for_all_floor(kept: Tensor, valid: Tensor) -> Tensor:
    """What :func:`region_info_nce` is where all vectors are the same: mean of log(1 + negatives that count).

    Args:
        kept: (N, R, M) bool, negatives that count.
        valid: (N, R) bool, regions that count.
    """
    return (kept.sum(dim=-1).log1p() * valid).sum() / valid.sum().clamp_min(1)


def to_grid(maps: Tensor, grid: tuple[int, ...] | torch.Size) -> Tensor:
    """(N, C, X, Y, Z) on a coarser grid (x, y, z), each voxel taking the nearest; by index, so that ids stay exact."""
    if tuple(maps.shape[2:]) == tuple(grid):
        return maps
    for axis, (size, coarse) in enumerate(zip(maps.shape[2:], grid, strict=True), start=2):
        index = ((torch.arange(coarse, device=maps.device) + 0.5) * (size / coarse)).long()
        maps = maps.index_select(axis, index)
    return maps


def _rows(features: Tensor, voxels: Tensor, project: Callable[[Tensor], Tensor] | None) -> Tensor:
    """(N, C, x, y, z) at (N, R, K) flat indices: (N, R, K, C), projected."""
    flat = features.flatten(2)
    index = voxels.flatten(1)[:, None].expand(-1, flat.shape[1], -1)
    rows = flat.gather(2, index).transpose(1, 2).unflatten(1, tuple(voxels.shape[1:]))
    return rows if project is None else project(rows)

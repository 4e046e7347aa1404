"""Masks that follow the labels: organs, or parts of organs, go missing."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from medctx3d.models.masking.masking_strategy import MaskingStrategy
from medctx3d.registry import MASKINGS
from medctx3d.typing import Size3


@MASKINGS.register_module()
class OrganMask(MaskingStrategy):
    """Hide cells that hold labelled organs: the missing organ, or a part of it, of MedContext's abstract.

    A sample without any labelled voxel, such as an unlabelled volume, hides floor(ratio * cells) random cells.

    Args:
        ratio: With ``part='cells'`` the fraction of the cells that touch an organ; with ``part='organ'`` the fraction
            of the organs in the crop, each hidden whole. At least one is hidden.
        part: ``cells`` hides parts of organs, ``organ`` hides whole organs, chosen anew for every sample.
        most: Fraction of all cells that is never passed, in (0, 1); the rest is shown again at random, so that a crop
            full of organs is not hidden altogether.

    Raises:
        ValueError: ``part`` is unknown, ``most`` is out of range, or there are no labels to follow.
    """

    def __init__(self, ratio: float, *, part: Literal['cells', 'organ'] = 'cells', most: float = 0.75) -> None:
        super().__init__(ratio)
        if part not in ('cells', 'organ'):
            raise ValueError(f"OrganMask: part must be 'cells' or 'organ', got {part!r}")
        if not 0 < most < 1:
            raise ValueError(f'OrganMask: most must lie between 0 and 1 (both excluded), got {most}')
        self.part = part
        self.most = most

    def draw(self, batch_size: int, grid: Size3, *, device: torch.device | None, labels: Tensor | None) -> Tensor:
        """See :class:`MaskingStrategy`."""
        if labels is None:
            raise ValueError('OrganMask follows labels: give labels (N, 1, X, Y, Z), or use TubeMask or RandomMask')
        organs = labels > 0 if self.part == 'cells' else self._chosen(labels)
        touched = F.adaptive_max_pool3d(organs.float(), grid).flatten(1) > 0  # (N, cells)
        amount = touched.sum(dim=1)
        if self.part == 'cells':
            amount = (self.ratio * amount).floor().clamp_min(1).minimum(amount)
        cells = touched.shape[1]
        amount = torch.where(touched.any(dim=1), amount, self.count(cells)).clamp_max(int(self.most * cells))
        # touched cells come first, each group in random order; a cell is hidden if its rank is below the amount
        scores = torch.rand(touched.shape, device=touched.device) + (~touched).float()
        rank = scores.argsort(dim=1).argsort(dim=1)
        return (rank < amount[:, None]).view(batch_size, *grid)

    def _chosen(self, labels: Tensor) -> Tensor:
        """(N, 1, X, Y, Z) bool: the voxels of the organs that go missing, floor(ratio * organs) but at least one."""
        known = labels.clamp_min(0).flatten(1)
        classes = int(known.max()) + 1
        present = torch.zeros(len(labels), classes, dtype=torch.bool, device=labels.device).scatter_(1, known, True)
        present[:, 0] = False  # the background is no organ
        rank = (torch.rand(present.shape, device=labels.device) + (~present).float()).argsort(dim=1).argsort(dim=1)
        amount = (self.ratio * present.sum(dim=1)).floor().clamp_min(1)
        missing = (rank < amount[:, None]) & present
        return missing.gather(1, known).view_as(labels)

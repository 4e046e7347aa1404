"""Tubes: one two-dimensional pattern repeated along an axis of the patient."""

from __future__ import annotations

import torch
from torch import Tensor

from medctx3d.models.masking.functional import lowest_scores_hidden
from medctx3d.models.masking.masking_strategy import MaskingStrategy
from medctx3d.registry import MASKINGS
from medctx3d.typing import Size3


@MASKINGS.register_module()
class TubeMask(MaskingStrategy):
    """Hide the same cells in every layer along one axis.

    Volumes are RAS+, so the axis is one of the patient: 0 left-right, 1 posterior-anterior, 2 inferior-superior.
    With the default, every axial slice hides the same cells, and no neighbouring slice gives them away.

    Args:
        ratio: Fraction of the cells of one layer to hide, in (0, 1).
        axis: Direction of the tubes: 0, 1 or 2.
        shared: One mask for the whole batch.

    Raises:
        ValueError: ``axis`` is not 0, 1 or 2.
    """

    def __init__(self, ratio: float, axis: int = 2, *, shared: bool = False) -> None:
        super().__init__(ratio, shared=shared)
        if axis not in (0, 1, 2):
            raise ValueError(f'TubeMask: axis must be 0 (left-right), 1 (front-back) or 2 (head-foot), got {axis}')
        self.axis = axis

    def draw(self, batch_size: int, grid: Size3, *, device: torch.device | None, labels: Tensor | None) -> Tensor:
        """See :class:`MaskingStrategy`."""
        layer = [cells for axis, cells in enumerate(grid) if axis != self.axis]
        cells = layer[0] * layer[1]
        scores = torch.rand(batch_size, cells, device=device)
        pattern = lowest_scores_hidden(scores, self.count(cells)).view(batch_size, *layer)
        return pattern.unsqueeze(self.axis + 1).expand(batch_size, *grid).contiguous()

"""Independent random cells."""

from __future__ import annotations

import torch
from torch import Tensor

from medctx3d.models.masking.functional import lowest_scores_hidden
from medctx3d.models.masking.masking_strategy import MaskingStrategy
from medctx3d.registry import MASKINGS
from medctx3d.typing import Size3


@MASKINGS.register_module()
class RandomMask(MaskingStrategy):
    """Hide exactly floor(ratio * cells) cells, uniformly at random in 3D.

    Args:
        ratio: Fraction of cells to hide, in (0, 1).
        shared: One mask for the whole batch.
    """

    def draw(self, batch_size: int, grid: Size3, *, device: torch.device | None, labels: Tensor | None) -> Tensor:
        """See :class:`MaskingStrategy`."""
        cells = grid[0] * grid[1] * grid[2]
        scores = torch.rand(batch_size, cells, device=device)
        return lowest_scores_hidden(scores, self.count(cells)).view(batch_size, *grid)

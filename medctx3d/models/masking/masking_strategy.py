"""The interface of a masking strategy."""

from __future__ import annotations

import abc
import math

import torch
from torch import Tensor

from medctx3d.typing import Size3


class MaskingStrategy(abc.ABC):
    """Draw which cells of a grid are hidden. Touches no image, keeps no state.

    Masks are drawn from torch's generator of the device, so the Runner's ``randomness`` governs them.

    Args:
        ratio: Fraction to hide, between 0 and 1, both excluded.
        shared: One mask for all samples of a batch, as the published code draws it; else every sample has its own.

    Raises:
        ValueError: The ratio is out of range, or hides none of the cells of a grid.
    """

    def __init__(self, ratio: float, *, shared: bool = False) -> None:
        if not 0 < ratio < 1:
            raise ValueError(f'{type(self).__name__}: ratio must lie between 0 and 1 (both excluded), got {ratio}')
        self.ratio = ratio
        self.shared = shared

    def __call__(
        self, batch_size: int, grid: Size3, *, device: torch.device | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """Draw masks.

        Args:
            batch_size: N.
            grid: Cells (gx, gy, gz).
            device: Where the mask is drawn.
            labels: (N, 1, X, Y, Z) class ids, -1 where unknown, for strategies that hide by label.

        Returns:
            (N, gx, gy, gz) bool, True = hidden.
        """
        if not self.shared:
            return self.draw(batch_size, grid, device=device, labels=labels)
        one = self.draw(1, grid, device=device, labels=None if labels is None else labels[:1])
        return one.expand(batch_size, *grid).contiguous()

    @abc.abstractmethod
    def draw(self, batch_size: int, grid: Size3, *, device: torch.device | None, labels: Tensor | None) -> Tensor:
        """One mask per sample; arguments and answer as in calling the strategy."""

    def count(self, cells: int) -> int:
        """Cells to hide among ``cells``: floor(ratio * cells), refused where that is none."""
        hidden = math.floor(self.ratio * cells + 1e-9)
        if hidden == 0:
            raise ValueError(
                f'{type(self).__name__}: ratio {self.ratio} of {cells} cells hides none; '
                'use a larger crop, a smaller patch_size or a larger ratio'
            )
        return hidden

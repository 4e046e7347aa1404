"""The interface of a masking strategy."""

from __future__ import annotations

import abc
import math

import torch
from torch import Tensor

from medctx3d.typing import Size3


class MaskingStrategy(abc.ABC):
    """Draw which cells of a grid are hidden. Touches no image, keeps no state.

    Masks are drawn per sample from torch's generator of the device, so the Runner's ``randomness`` governs them.

    Args:
        ratio: Fraction of cells to hide, between 0 and 1, both excluded.

    Raises:
        ValueError: The ratio is out of range, or hides none or all of the cells of a grid.
    """

    def __init__(self, ratio: float) -> None:
        if not 0 < ratio < 1:
            raise ValueError(f'{type(self).__name__}: ratio must lie between 0 and 1 (both excluded), got {ratio}')
        self.ratio = ratio

    @abc.abstractmethod
    def __call__(self, batch_size: int, grid: Size3, *, device: torch.device | None = None) -> Tensor:
        """Draw masks.

        Args:
            batch_size: N.
            grid: Cells (gx, gy, gz).
            device: Where the mask is drawn.

        Returns:
            (N, gx, gy, gz) bool, True = hidden.
        """

    def count(self, cells: int) -> int:
        """Cells to hide among ``cells``: floor(ratio * cells), refused where that is none."""
        hidden = math.floor(self.ratio * cells + 1e-9)
        if hidden == 0:
            raise ValueError(
                f'{type(self).__name__}: ratio {self.ratio} of {cells} cells hides none; '
                'use a larger crop, a smaller patch_size or a larger ratio'
            )
        return hidden

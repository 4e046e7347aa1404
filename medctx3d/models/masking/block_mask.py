"""Connected boxes of cells."""

from __future__ import annotations

import torch
from torch import Tensor

from medctx3d.models.masking.masking_strategy import MaskingStrategy
from medctx3d.registry import MASKINGS
from medctx3d.typing import Size3


@MASKINGS.register_module()
class BlockMask(MaskingStrategy):
    """Hide randomly placed cubes of cells until the ratio is reached.

    A cube may overlap others and may reach over the border, which cuts it. The cube that passes the ratio loses
    random cells of its own again, so every sample hides exactly floor(ratio * cells).

    Args:
        ratio: Fraction of cells to hide, in (0, 1).
        block: Shortest and longest edge of a cube, in cells.
        shared: One mask for the whole batch.

    Raises:
        ValueError: ``block`` is not an ascending pair of positive numbers.
    """

    def __init__(self, ratio: float, block: tuple[int, int] = (1, 3), *, shared: bool = False) -> None:
        super().__init__(ratio, shared=shared)
        if len(block) != 2 or not 1 <= block[0] <= block[1]:
            raise ValueError(
                f'BlockMask: block must be (shortest, longest) with 1 <= shortest <= longest, got {block}'
            )
        self.block = (int(block[0]), int(block[1]))

    def draw(self, batch_size: int, grid: Size3, *, device: torch.device | None, labels: Tensor | None) -> Tensor:
        """See :class:`MaskingStrategy`."""
        return torch.stack([self._draw(grid, device) for _ in range(batch_size)])

    def _draw(self, grid: Size3, device: torch.device | None) -> Tensor:
        target = self.count(grid[0] * grid[1] * grid[2])
        axes = torch.meshgrid(*(torch.arange(cells, device=device) for cells in grid), indexing='ij')
        index = torch.stack(axes)  # (3, gx, gy, gz)
        limits = torch.tensor(grid, device=device)
        hidden = torch.zeros(grid, dtype=torch.bool, device=device)
        missing = target
        while missing > 0:
            edge = torch.randint(self.block[0], self.block[1] + 1, (1,), device=device)
            corner = (torch.rand(3, device=device) * (limits + edge - 1)).floor().long() - (edge - 1)
            offset = index - corner.view(3, 1, 1, 1)
            fresh = ((offset >= 0) & (offset < edge)).all(dim=0) & ~hidden
            cells = fresh.flatten().nonzero()[:, 0]
            if len(cells) > missing:
                cells = cells[torch.randperm(len(cells), device=device)[:missing]]
            hidden.view(-1)[cells] = True
            missing -= len(cells)
        return hidden

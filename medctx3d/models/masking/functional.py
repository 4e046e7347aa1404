"""Pure functions on cell masks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from medctx3d.typing import Size3


def resize_mask(mask: Tensor, size: Size3) -> Tensor:
    """Bring cells to another grid by nearest neighbour, to voxels or to tokens.

    Args:
        mask: (N, gx, gy, gz) bool, True = hidden.
        size: Target (X, Y, Z).

    Returns:
        (N, X, Y, Z) bool.
    """
    if tuple(mask.shape[1:]) == tuple(size):
        return mask
    return F.interpolate(mask[:, None].float(), size=size, mode='nearest')[:, 0] > 0.5


def hide(inputs: Tensor, mask: Tensor, fill: float = 0.0) -> Tensor:
    """Replace hidden voxels, in every channel, by a constant.

    Args:
        inputs: (N, C, X, Y, Z).
        mask: (N, gx, gy, gz) bool cells, True = hidden.
        fill: Value of a hidden voxel, in units of the normalised image.

    Returns:
        (N, C, X, Y, Z), a new tensor.
    """
    x, y, z = inputs.shape[2:]
    return inputs.masked_fill(resize_mask(mask, (x, y, z))[:, None], fill)


def cell_grid(size: tuple[int, ...], patch_size: Size3) -> Size3:
    """How many cells of ``patch_size`` voxels cover ``size`` voxels exactly.

    Raises:
        ValueError: A side is not a multiple of the cell's.
    """
    if any(side % cell for side, cell in zip(size, patch_size, strict=True)):
        raise ValueError(
            f'patch_size {tuple(patch_size)} does not divide the crop of {tuple(size)} voxels: '
            'choose a crop whose sides are multiples of patch_size'
        )
    gx, gy, gz = (side // cell for side, cell in zip(size, patch_size, strict=True))
    return gx, gy, gz


def lowest_scores_hidden(scores: Tensor, count: int) -> Tensor:
    """Hide the ``count`` cells with the lowest scores of each row.

    Args:
        scores: (N, cells) random scores.
        count: Cells to hide.

    Returns:
        (N, cells) bool, exactly ``count`` True in every row.
    """
    hidden = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
    return hidden.scatter_(1, scores.argsort(dim=1)[:, :count], True)

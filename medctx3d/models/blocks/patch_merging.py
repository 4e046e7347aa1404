"""Patch merging of Swin UNETR, in each of the orders that weights were trained with."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MergeOrder = Literal['current', 'legacy', 'lexicographic']
# Offsets of the eight sub-grids along the three axes, in the order in which their channels are laid side by side.
_SLOTS: dict[str, str] = {
    'current': '000 100 010 001 110 101 011 111',
    'legacy': '000 100 010 001 101 010 001 111',  # two sub-grids twice, two never
    'lexicographic': '000 001 010 011 100 101 110 111',
}


class PatchMerging(nn.Module):
    """Halve a grid of tokens: eight neighbours side by side, normalised, then projected to twice the channels.

    The order of the neighbours changed between releases of MONAI while names and shapes of the weights stayed, so
    weights work in the order that they were trained with alone. ``legacy`` is that of MONAI 0.9 to 1.4 (two of the
    eight sub-grids enter twice and two never, MONAI issues 4757 and 7324), ``current`` that of 1.5 and later,
    ``lexicographic`` MONAI's ``mergingv2``.

    Args:
        dim: Channels of a token.
        norm_layer: Called with the number of channels that it normalises.
        spatial_dims: 3.
        order: Of the eight sub-grids.

    Raises:
        ValueError: Other than three dimensions, or an unknown order.
    """

    def __init__(
        self,
        dim: int,
        norm_layer: type[nn.LayerNorm] = nn.LayerNorm,
        spatial_dims: int = 3,
        *,
        order: MergeOrder = 'current',
    ) -> None:
        super().__init__()
        if spatial_dims != 3 or order not in get_args(MergeOrder):
            raise ValueError(
                f'PatchMerging: spatial_dims must be 3 and order one of {get_args(MergeOrder)}, got {spatial_dims} '
                f'and {order!r}'
            )
        self.reduction = nn.Linear(8 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(8 * dim)
        self.slots = [tuple(int(offset) for offset in slot) for slot in _SLOTS[order].split()]

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, x, y, z, C) to (N, x/2, y/2, z/2, 2C), odd sides padded with zeros."""
        x, y, z = tokens.shape[1:4]
        padded = F.pad(tokens, (0, 0, 0, z % 2, 0, y % 2, 0, x % 2))
        merged = torch.cat([padded[:, i::2, j::2, k::2] for i, j, k in self.slots], dim=-1)
        return self.reduction(self.norm(merged))

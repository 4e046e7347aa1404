"""The block of UNETR++: paired attention, then convolutions."""

from __future__ import annotations

import math

import torch
from monai.networks.blocks.dynunet_block import UnetResBlock
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from medctx3d.models.blocks.paired_attention import EfficientPairedAttention, Fusion, TokenProjection
from medctx3d.typing import Size3

CONV_DROPOUT = 0.1


class EPABlock(nn.Module):
    """The block of UNETR++ (arXiv 2212.04497), for one grid of tokens.

    With learned positions P, scale g and the attention A: x + P = s, a = s + g A(LN(s)), and then, as a volume,
    a + conv1(dropout(R(a))) with residual convolutions R and batch normalisation.

    Tokens are taken in the published order, X running fastest, so that position tables and token projections of the
    published weights need no reordering.

    Args:
        channels: C.
        grid: Tokens along (X, Y, Z); positions and token projections are made for it.
        num_heads: See :class:`EfficientPairedAttention`.
        projection_size: See there.
        projection: See there.
        fusion: See there.
        convolutions: Residual blocks in R.
        attention_dropout: Of the attention maps.
        published_spatial_order: See there.
        use_checkpoint: Recompute the attention in the backward pass instead of storing it. Convolutions are not
            recomputed: their batch statistics would be counted twice.
    """

    def __init__(
        self,
        channels: int,
        grid: Size3,
        *,
        num_heads: int = 4,
        projection_size: int = 64,
        projection: TokenProjection = 'shared',
        fusion: Fusion = 'concat',
        convolutions: int = 1,
        attention_dropout: float = 0.0,
        published_spatial_order: bool = False,
        use_checkpoint: bool = False,
    ) -> None:
        super().__init__()
        tokens = math.prod(grid)
        self.grid, self.use_checkpoint = grid, use_checkpoint
        self.position = nn.Parameter(torch.zeros(1, tokens, channels))
        self.norm = nn.LayerNorm(channels)
        self.attention = EfficientPairedAttention(
            channels,
            tokens,
            num_heads=num_heads,
            projection_size=projection_size,
            projection=projection,
            fusion=fusion,
            dropout=attention_dropout,
            published_spatial_order=published_spatial_order,
        )
        self.scale = nn.Parameter(torch.full((channels,), 1e-6))
        self.convolutions = nn.Sequential(
            *(UnetResBlock(3, channels, channels, 3, 1, norm_name='batch') for _ in range(convolutions)),
            nn.Dropout3d(CONV_DROPOUT),
            nn.Conv3d(channels, channels, kernel_size=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, X, Y, Z) of ``grid`` to the same shape."""
        tokens = features.permute(0, 4, 3, 2, 1).flatten(1, 3) + self.position
        if self.use_checkpoint and self.training and torch.is_grad_enabled():
            tokens = checkpoint(self._attend, tokens, use_reentrant=False)
        else:
            tokens = self._attend(tokens)
        x, y, z = self.grid
        attended = tokens.unflatten(1, (z, y, x)).permute(0, 4, 3, 2, 1)
        return attended + self.convolutions(attended)

    def _attend(self, tokens: Tensor) -> Tensor:
        return tokens + self.scale * self.attention(self.norm(tokens))

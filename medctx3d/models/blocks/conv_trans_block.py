"""The block of PCT-Net's pyramid: convolution and attention side by side."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from medctx3d.models.blocks.pre_activation import ConvPair
from medctx3d.models.blocks.swin_blocks import SwinBlock


class ConvTransBlock(nn.Module):
    """Two convolutions plus a stack of Swin blocks, both on the same input, summed (PCT-Net, arXiv 2306.16925).

    Args:
        channels: C.
        num_heads: Attention heads.
        depth: Swin blocks; every second one is shifted.
        window: Edge of a window in tokens.
        dropout: Of the convolutions, of the tokens that enter the stack, and inside its blocks.
        drop_path: Probability to drop a branch, the same in every block.
        published_position_index: See :class:`SwinBlock`.
        published_windows: See :class:`SwinBlock`.
        published_layout: Hold what published files hold besides: the rows of the bias table, and a layer normalisation
            that nothing passes through; it is frozen.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        *,
        depth: int,
        window: int,
        dropout: float,
        drop_path: float,
        published_position_index: bool = False,
        published_windows: bool = False,
        published_layout: bool = False,
    ) -> None:
        super().__init__()
        self.conv = ConvPair(channels, flat=False, dropout=dropout)
        blocks = (
            SwinBlock(
                channels,
                num_heads,
                window=window,
                shifted=index % 2 == 1,
                dropout=dropout,
                drop_path=drop_path,
                published_position_index=published_position_index,
                published_windows=published_windows,
                store_position_index=published_layout,
            )
            for index in range(depth)
        )
        self.trans = _Stack(blocks)
        self.dropout = nn.Dropout(dropout)
        if published_layout:
            self.norm_layer = nn.LayerNorm(channels).requires_grad_(False)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, z, y, x) to the same shape."""
        tokens: Tensor = self.trans(self.dropout(features.movedim(1, 4)))
        answer: Tensor = self.conv(features) + tokens.movedim(4, 1)
        return answer


class _Stack(nn.Module):
    """Blocks one after another, under the published name."""

    def __init__(self, blocks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, tokens: Tensor) -> Tensor:
        for block in self.blocks:
            tokens = block(tokens)
        return tokens

"""Transformer blocks over windows: tokens among themselves, and one volume asking another."""

from __future__ import annotations

from monai.networks.layers import DropPath
from torch import Tensor, nn

from medctx3d.models.blocks.window_attention import WindowAttention
from medctx3d.models.blocks.windows import fit_windows
from medctx3d.typing import Size3

MLP_RATIO = 4


class SelfWindowBlock(nn.Module):
    """Swin block: x + A(LN(x)), then x + MLP(LN(x)), each of the two dropped at random per sample in training.

    Args:
        channels: C.
        num_heads: Attention heads.
        window: Tokens of a window along (X, Y, Z).
        shifted: Whether the windows lie half a window further, where the grid is longer than one.
        drop_path: Probability to drop a branch.
        shift_mask: See :class:`WindowAttention`.
        published_position_index: See :class:`WindowAttention`.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        *,
        window: Size3,
        shifted: bool,
        drop_path: float = 0.0,
        shift_mask: bool = True,
        published_position_index: bool = False,
    ) -> None:
        super().__init__()
        self.window, self.shifted = window, shifted
        self.norm = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, 3 * channels)
        self.attention = WindowAttention(
            channels,
            num_heads,
            window=window,
            shift_mask=shift_mask,
            published_position_index=published_position_index,
        )
        self.mlp = _mlp(channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, X, Y, Z, C) to the same shape."""
        x, y, z = tokens.shape[1:4]
        windows = fit_windows((x, y, z), self.window, shifted=self.shifted)
        queries, keys, values = self.project(windows.cut(self.norm(tokens))).chunk(3, dim=-1)
        tokens = tokens + self.drop_path(windows.join(self.attention(queries, keys, values, windows)))
        return tokens + self.drop_path(self.mlp(tokens))


class CrossWindowBlock(nn.Module):
    """First block of a decoder level of nnFormer (arXiv 2109.03201): the upsampled tokens u ask the skip s.

    Both pass through one layer normalisation. Keys and values are linear in LN(s); the query is LN(u) itself. With
    A their attention, y = (u + s) + A, then y + MLP(LN(y)). Windows are never shifted.

    Args:
        channels: C.
        num_heads: Attention heads.
        window: Tokens of a window along (X, Y, Z).
        drop_path: Probability to drop a branch.
        shift_mask: See :class:`WindowAttention`.
        published_position_index: See :class:`WindowAttention`.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        *,
        window: Size3,
        drop_path: float = 0.0,
        shift_mask: bool = True,
        published_position_index: bool = False,
    ) -> None:
        super().__init__()
        self.window = window
        self.norm = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, 2 * channels)
        self.attention = WindowAttention(
            channels,
            num_heads,
            window=window,
            shift_mask=shift_mask,
            published_position_index=published_position_index,
        )
        self.mlp = _mlp(channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, upsampled: Tensor, skip: Tensor) -> Tensor:
        """Two of (N, X, Y, Z, C) to one."""
        x, y, z = skip.shape[1:4]
        windows = fit_windows((x, y, z), self.window, shifted=False)
        queries = windows.cut(self.norm(upsampled))
        keys, values = self.project(windows.cut(self.norm(skip))).chunk(2, dim=-1)
        mixed = self.attention(queries.to(keys.dtype), keys, values, windows)
        tokens = upsampled + skip + self.drop_path(windows.join(mixed))
        return tokens + self.drop_path(self.mlp(tokens))


def _mlp(channels: int) -> nn.Sequential:
    """Behind its layer normalisation."""
    return nn.Sequential(
        nn.LayerNorm(channels),
        nn.Linear(channels, MLP_RATIO * channels),
        nn.GELU(),
        nn.Linear(MLP_RATIO * channels, channels),
    )

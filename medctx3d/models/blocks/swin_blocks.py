"""Swin blocks with dropout, under the parameter names of the published Swin code; tokens are (N, Z, Y, X, C)."""

from __future__ import annotations

from typing import Any

import torch
from monai.networks.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional as F

from medctx3d.models.blocks.window_attention import relative_rows, window_bias
from medctx3d.models.blocks.windows import Windows, fit_windows, published_windows
from medctx3d.typing import Size3

MLP_RATIO = 4


class SwinAttention(nn.Module):
    """Attention inside cubic windows, A = softmax(q k^T / sqrt(d) + B + M) v, then a linear layer.

    Args:
        channels: C, a multiple of ``num_heads``.
        num_heads: Attention heads.
        window: Edge of the window that the bias table is made for, in tokens.
        dropout: Of attention weights and of the answer.
        published_position_index: Go from offsets (z, y, x) to rows of the table by the published factors
            (3w-1, 2w-1, 1) instead of ((2w-1)^2, 2w-1, 1), so that offsets share rows.
        see_padding: Let tokens attend to the padding of windows, as published.
        store_position_index: Keep the rows in the state dict, where published files have them.

    Raises:
        ValueError: ``num_heads`` does not divide ``channels``.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        *,
        window: int,
        dropout: float,
        published_position_index: bool,
        see_padding: bool,
        store_position_index: bool,
    ) -> None:
        super().__init__()
        if num_heads < 1 or channels % num_heads:
            raise ValueError(f'SwinAttention: num_heads must divide the {channels} channels, got {num_heads}')
        self.num_heads, self.table_window, self.see_padding = num_heads, (window,) * 3, see_padding
        self.factors = position_factors(window, published=published_position_index)
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 3, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        if store_position_index:
            self.register_buffer('relative_position_index', self._rows((window,) * 3))
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.dropout = nn.Dropout(dropout)
        self.register_load_state_dict_pre_hook(_compare_rows)

    def forward(self, tokens: Tensor, windows: Windows) -> Tensor:
        """(N * windows, T, C), as :meth:`Windows.cut` gives them, to the same shape."""
        q, k, v = self.qkv(tokens).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        rows = self._rows(windows.size)
        apart = any(windows.shift) if self.see_padding else windows.joins_strangers
        together = windows.neighbours(tokens.device, see_padding=self.see_padding) if apart else None
        bias = window_bias(self.relative_position_bias_table, rows, together, count=tokens.shape[0])
        rate = self.dropout.p if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(v.dtype), dropout_p=rate)
        answer: Tensor = self.dropout(self.proj(mixed.transpose(1, 2).flatten(2)))
        return answer

    def _rows(self, window: Size3) -> Tensor:
        device = self.relative_position_bias_table.device
        return relative_rows(window, self.table_window, self.factors, device=device)


class SwinBlock(nn.Module):
    """x + A(LN(x)), then x + MLP(LN(x)), each of the two dropped at random per sample in training.

    Args:
        channels: C.
        num_heads: Attention heads.
        window: Edge of a window in tokens.
        shifted: Whether the windows lie half a window further, where the grid is longer than one.
        dropout: Of attention weights, their answer, and both layers of the MLP.
        drop_path: Probability to drop a branch.
        published_position_index: See :class:`SwinAttention`.
        published_windows: Lay windows by :func:`~medctx3d.models.blocks.windows.published_windows`, and let tokens
            attend to their padding.
        store_position_index: See :class:`SwinAttention`.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        *,
        window: int,
        shifted: bool,
        dropout: float,
        drop_path: float,
        published_position_index: bool = False,
        published_windows: bool = False,
        store_position_index: bool = False,
    ) -> None:
        super().__init__()
        self.window, self.shifted, self.published_windows = window, shifted, published_windows
        self.norm1 = nn.LayerNorm(channels)
        self.attn = SwinAttention(
            channels,
            num_heads,
            window=window,
            dropout=dropout,
            published_position_index=published_position_index,
            see_padding=published_windows,
            store_position_index=store_position_index,
        )
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = nn.ModuleDict(
            dict(fc1=nn.Linear(channels, MLP_RATIO * channels), fc2=nn.Linear(MLP_RATIO * channels, channels))
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, Z, Y, X, C) to the same shape."""
        z, y, x = tokens.shape[1:4]
        lay = published_windows if self.published_windows else fit_windows
        windows = lay((z, y, x), (self.window,) * 3, shifted=self.shifted)
        attended = windows.join(self.attn(windows.cut(self.norm1(tokens)), windows))
        tokens = tokens + self.drop_path(attended)
        hidden = self.dropout(F.gelu(self.mlp['fc1'](self.norm2(tokens))))
        answer: Tensor = tokens + self.drop_path(self.dropout(self.mlp['fc2'](hidden)))
        return answer


def position_factors(window: int, *, published: bool) -> Size3:
    """By how many rows of the bias table one token further along Z, Y or X is."""
    width = 2 * window - 1
    return (3 * window - 1 if published else width**2), width, 1


def _compare_rows(attention: Any, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
    """A file brings the rows that its table was trained with; with others the weights would mean something else."""
    found = state_dict.get(f'{prefix}relative_position_index')
    own = attention._rows(attention.table_window)
    if found is None or 'meta' in (found.device.type, own.device.type) or torch.equal(found.cpu(), own.cpu()):
        return
    published = attention.factors == position_factors(attention.table_window[0], published=True)
    errors: list[str] = arguments[-1]
    errors.append(
        f'{prefix}relative_position_index of the file is not what this network computes: set '
        f'published_position_index={not published} and windows as in training'
    )

"""Attention inside windows, with a learned bias per relative position."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medctx3d.models.blocks.windows import Windows
from medctx3d.typing import Size3


class WindowAttention(nn.Module):
    """Attention inside windows, with a learned bias per relative position (Swin transformer, arXiv 2103.14030, in 3D).

    A = softmax(q k^T / sqrt(d) + B + M) v inside each window and head, followed by a linear layer. B has one value per
    head and relative position (a row of the table), M is minus infinity between tokens that only the shift or the
    padding of the windows brings together.

    Args:
        channels: C, a multiple of ``num_heads``.
        num_heads: Attention heads.
        window: Tokens of a window along (X, Y, Z); on a smaller grid it is cut, and the bias stays that of the same
            relative position.
        shift_mask: Keep such tokens apart (M). False as in the published nnFormer for ACDC: opposite borders of the
            volume, and padding, are attended to.
        published_position_index: Choose rows as the published nnFormer does. Its factors let different positions share
            a row, and most rows of the table go unused; for weights trained that way.

    Raises:
        ValueError: ``num_heads`` does not divide ``channels``, or the published rows of this window do not fit the
            table.
    """

    def __init__(
        self,
        channels: int,
        num_heads: int,
        *,
        window: Size3,
        shift_mask: bool = True,
        published_position_index: bool = False,
    ) -> None:
        super().__init__()
        if num_heads < 1 or channels % num_heads:
            raise ValueError(f'WindowAttention: num_heads must divide the {channels} channels, got {num_heads}')
        rows = math.prod(2 * side - 1 for side in window)
        last = sum(
            (2 * side - 2) * factor
            for side, factor in zip(window, _factors(window, published_position_index), strict=True)
        )
        if last >= rows:
            raise ValueError(
                f'WindowAttention: published_position_index would read row {last} of {rows} with a window of {window} '
                'tokens: turn it off'
            )
        self.num_heads, self.window = num_heads, window
        self.shift_mask, self.published_position_index = shift_mask, published_position_index
        self.position_table = nn.Parameter(torch.empty(rows, num_heads))
        nn.init.trunc_normal_(self.position_table, std=0.02)
        self.output = nn.Linear(channels, channels)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, windows: Windows) -> Tensor:
        """Attend.

        Args:
            queries: (N * windows, T, C), as :meth:`Windows.cut` gives them.
            keys: Likewise.
            values: Likewise.
            windows: How they were cut.

        Returns:
            (N * windows, T, C).
        """
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in (queries, keys, values))
        bias = self._bias(windows, count=queries.shape[0]).to(v.dtype)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)  # (N * windows, heads, T, d)
        return self.output(mixed.transpose(1, 2).flatten(2))

    def _bias(self, windows: Windows, count: int) -> Tensor:
        """B + M; see :func:`window_bias`."""
        rows = position_rows(
            windows.size, self.window, published=self.published_position_index, device=self.position_table.device
        )
        apart = self.shift_mask and windows.joins_strangers
        together = windows.neighbours(rows.device) if apart else None
        return window_bias(self.position_table, rows, together, count)


def window_bias(table: Tensor, rows: Tensor, together: Tensor | None, count: int) -> Tensor:
    """B + M: what is added to the scores before the softmax.

    Args:
        table: (rows, heads), the learned bias.
        rows: (T, T), which row each pair of tokens reads.
        together: (windows, T, T) bool, see :meth:`Windows.neighbours`; None: all windows are alike.
        count: Windows of the whole batch.

    Returns:
        (1, heads, T, T) where all windows are alike, else (count, heads, T, T).
    """
    bias = F.embedding(rows, table).permute(2, 0, 1)[None]
    if together is None:
        return bias
    bias = bias.masked_fill(~together[:, None], -math.inf)  # (windows, heads, T, T)
    return bias.repeat(count // bias.shape[0], 1, 1, 1)


def position_rows(window: Size3, table_window: Size3, *, published: bool, device: torch.device | str) -> Tensor:
    """Which row of the bias table each pair of tokens reads.

    Offsets (x, y, z), counted from 0, go to row x + (2 wx - 1) y + (2 wx - 1)(2 wy - 1) z, so that each has its own.
    The published factors are 1, 2 wy - 1 and 3 wy - 1.

    Args:
        window: Tokens of the window along (X, Y, Z), in raster order, T in all.
        table_window: The window that the table was made for, not smaller.
        published: Take the published factors.
        device: Where to compute.

    Returns:
        (T, T) row numbers.
    """
    return relative_rows(window, table_window, _factors(table_window, published), device=device)


def relative_rows(window: Size3, table_window: Size3, factors: Size3, *, device: torch.device | str) -> Tensor:
    """The row of each pair of tokens: their offset along each axis, counted from 0, times that axis' factor, summed.

    Args:
        window: Tokens of the window along its axes, in raster order, T in all.
        table_window: The window that the table was made for, not smaller.
        factors: By how many rows one token further along each axis is.
        device: Where to compute.

    Returns:
        (T, T) row numbers.
    """
    axes = [torch.arange(side, device=device) for side in window]
    row: Tensor = torch.zeros((), dtype=torch.long, device=device)
    places = torch.meshgrid(*axes, indexing='ij')
    for place, side, factor in zip(places, table_window, factors, strict=True):
        place = place.flatten()
        row = row + (place[:, None] - place[None, :] + side - 1) * factor
    return row


def _factors(window: Size3, published: bool) -> Size3:
    """By how many rows of the table one token further along X, Y or Z is."""
    wx, wy, _ = window
    if published:
        return 1, 2 * wy - 1, 3 * wy - 1
    return 1, 2 * wx - 1, (2 * wx - 1) * (2 * wy - 1)

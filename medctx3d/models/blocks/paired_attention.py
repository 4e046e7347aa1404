"""Attention between channels and between places, with common queries and keys."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TokenProjection = Literal['shared', 'separate', 'matrix']
Fusion = Literal['concat', 'sum']


class EfficientPairedAttention(nn.Module):
    """Efficient paired attention of UNETR++ (arXiv 2212.04497), over a fixed number of tokens.

    Per head of d channels and T tokens, with q, k, the values v_c and v_s linear in the tokens (d x T each), a hat for
    division by the L2 norm along the tokens, and E and F from T to P tokens::

        channels  X_c = softmax(t1 q^ k^') v_c           over the d channels of k
        space     X_s = softmax(t2 q^' E(k)) F(v_s)'     over the P reduced tokens; no 1 / sqrt(d)

    Args:
        channels: C, a multiple of ``num_heads``.
        tokens: T.
        num_heads: Attention heads.
        projection_size: P.
        projection: E and F: one ``shared`` linear layer, two ``separate`` ones, or one ``matrix`` without bias.
        fusion: ``concat`` half the channels of each, linear in X_s and in X_c; or the ``sum`` of the two.
        dropout: Of both attention maps.
        published_spatial_order: Lay X_s out as the published code does: a row of its result holds consecutive tokens
            of one channel instead of the channels of one token. For weights trained that way.

    Raises:
        ValueError: ``num_heads`` does not divide the channels, ``concat`` of an odd number of channels, or an unknown
            ``projection`` or ``fusion``.
    """

    def __init__(
        self,
        channels: int,
        tokens: int,
        *,
        num_heads: int = 4,
        projection_size: int = 64,
        projection: TokenProjection = 'shared',
        fusion: Fusion = 'concat',
        dropout: float = 0.0,
        published_spatial_order: bool = False,
    ) -> None:
        super().__init__()
        _check(channels, num_heads, projection, fusion)
        self.num_heads, self.published_spatial_order = num_heads, published_spatial_order
        self.project = nn.Linear(channels, 4 * channels, bias=False)
        self.projections = nn.ModuleList(  # of keys first, of values last
            _TokenMatrix(tokens, projection_size) if projection == 'matrix' else nn.Linear(tokens, projection_size)
            for _ in range(2 if projection == 'separate' else 1)
        )
        self.channel_temperature = nn.Parameter(torch.ones(num_heads, 1, 1))
        self.spatial_temperature = nn.Parameter(torch.ones(num_heads, 1, 1))
        self.dropout = nn.Dropout(dropout)
        halves = fusion == 'concat'
        self.spatial_output = nn.Linear(channels, channels // 2) if halves else None
        self.channel_output = nn.Linear(channels, channels // 2) if halves else None

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, T, C), normalised, to the same shape."""
        parts = self.project(tokens).unflatten(-1, (4, self.num_heads, -1)).permute(2, 0, 3, 4, 1)
        queries, keys, channel_values, spatial_values = parts.unbind(0)  # (N, heads, d, T) each
        reduced_keys, reduced_values = self.projections[0](keys), self.projections[-1](spatial_values)
        queries, keys = F.normalize(queries, dim=-1), F.normalize(keys, dim=-1)
        by_channel = self._between_channels(queries, keys, channel_values)
        by_place = self._between_places(queries, reduced_keys, reduced_values)
        if self.spatial_output is None or self.channel_output is None:
            return by_place + by_channel
        return torch.cat([self.spatial_output(by_place), self.channel_output(by_channel)], dim=-1)

    def _between_channels(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Three of (N, heads, d, T) to (N, T, C)."""
        scores = self.channel_temperature * (queries @ keys.transpose(-1, -2))  # (N, heads, d, d)
        mixed = self.dropout(scores.softmax(dim=-1)).to(values.dtype) @ values
        return mixed.flatten(1, 2).transpose(1, 2)

    def _between_places(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(N, heads, d, T) and two of (N, heads, d, P) to (N, T, C)."""
        asked, known, told = (part.transpose(-1, -2) for part in (queries * self.spatial_temperature, keys, values))
        dropout = self.dropout.p if self.training else 0.0
        mixed = F.scaled_dot_product_attention(
            asked.to(told.dtype), known, told, dropout_p=dropout, scale=1.0
        )  # (N, heads, T, d)
        if self.published_spatial_order:
            count, heads, tokens, width = mixed.shape
            return mixed.permute(0, 3, 1, 2).reshape(count, tokens, heads * width)
        return mixed.transpose(1, 2).flatten(2)


class _TokenMatrix(nn.Module):
    """T tokens to P by a matrix alone, uniform in +-1 / sqrt(P) at first."""

    def __init__(self, tokens: int, size: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(size)
        self.weight = nn.Parameter(torch.empty(size, tokens).uniform_(-bound, bound))

    def forward(self, parts: Tensor) -> Tensor:
        """(..., T) to (..., P)."""
        return F.linear(parts, self.weight)


def _check(channels: int, num_heads: int, projection: str, fusion: str) -> None:
    if num_heads < 1 or channels % num_heads:
        raise ValueError(f'EfficientPairedAttention: num_heads must divide the {channels} channels, got {num_heads}')
    if projection not in get_args(TokenProjection):
        raise ValueError(
            f'EfficientPairedAttention: projection must be one of {get_args(TokenProjection)}, got {projection!r}'
        )
    if fusion not in get_args(Fusion):
        raise ValueError(f'EfficientPairedAttention: fusion must be one of {get_args(Fusion)}, got {fusion!r}')
    if fusion == 'concat' and channels % 2:
        raise ValueError(
            f"EfficientPairedAttention: fusion='concat' joins two halves, so channels must be even, got {channels}"
        )

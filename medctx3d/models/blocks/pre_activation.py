"""Convolutions behind their normalisation, as PCT-Net is made of; parameter names are those of its published files.

Volumes are (N, C, Z, Y, X) here: the published order, in which the slice axis comes first.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medctx3d.typing import Size3

FLAT_KERNEL, FLAT_PADDING, FLAT_STRIDE = (1, 3, 3), (0, 1, 1), (1, 2, 2)  # they leave the slice axis alone


def same_conv(in_channels: int, out_channels: int, *, flat: bool, stride: Size3 | int = 1) -> nn.Conv3d:
    """A convolution with kernel 3, or (1, 3, 3) where ``flat``, that keeps the grid unless it has a stride."""
    kernel, padding = (FLAT_KERNEL, FLAT_PADDING) if flat else ((3, 3, 3), (1, 1, 1))
    return nn.Conv3d(in_channels, out_channels, kernel_size=kernel, padding=padding, stride=stride)


def pre_activated(conv: nn.Conv3d | nn.ConvTranspose3d) -> nn.Sequential:
    """BatchNorm, PReLU, then the convolution."""
    return nn.Sequential(nn.BatchNorm3d(conv.in_channels), nn.PReLU(), conv)


class ConvPair(nn.Module):
    """Two convolutions of equal width, each behind BatchNorm and PReLU, dropout before the second; no residual.

    Args:
        channels: C.
        flat: Kernel (1, 3, 3) instead of 3.
        dropout: Probability.
    """

    def __init__(self, channels: int, *, flat: bool, dropout: float) -> None:
        super().__init__()
        self.conv_conv = nn.Sequential(
            nn.BatchNorm3d(channels),
            nn.PReLU(),
            same_conv(channels, channels, flat=flat),
            nn.BatchNorm3d(channels),
            nn.PReLU(),
            nn.Dropout(dropout),
            same_conv(channels, channels, flat=flat),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, z, y, x) to the same shape."""
        answer: Tensor = self.conv_conv(features)
        return answer


class PoolConv(nn.Module):
    """Max-pooling, then a convolution to more channels.

    Args:
        in_channels: C.
        out_channels: D.
        flat_pool: Pool (1, 2, 2) instead of 2.
        flat_conv: Kernel (1, 3, 3) instead of 3.
    """

    def __init__(self, in_channels: int, out_channels: int, *, flat_pool: bool, flat_conv: bool) -> None:
        super().__init__()
        self.pool = nn.MaxPool3d(FLAT_STRIDE if flat_pool else 2)
        self.conv = pre_activated(same_conv(in_channels, out_channels, flat=flat_conv))

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, z, y, x) to (N, D, ...), pooled axes halved."""
        answer: Tensor = self.conv(self.pool(features))
        return answer


class UpConcat(nn.Module):
    """Transposed convolution, concatenation behind the skip, convolution.

    Args:
        channels: C of the skip and of the answer.
        coarse_channels: D.
        flat_up: Upsample by (1, 2, 2) instead of 2.
        flat_conv: Kernel (1, 3, 3) instead of 3.
    """

    def __init__(self, channels: int, coarse_channels: int, *, flat_up: bool, flat_conv: bool) -> None:
        super().__init__()
        step = FLAT_STRIDE if flat_up else (2, 2, 2)
        self.up = pre_activated(nn.ConvTranspose3d(coarse_channels, channels, kernel_size=step, stride=step))
        self.conv = pre_activated(same_conv(2 * channels, channels, flat=flat_conv))

    def forward(self, skip: Tensor, coarse: Tensor) -> Tensor:
        """(N, C, z, y, x) and (N, D, ...) to (N, C, z, y, x)."""
        answer: Tensor = self.conv(torch.cat([skip, self.up(coarse)], dim=1))
        return answer


class OutConv(nn.Module):
    """The layer to logits.

    Args:
        in_channels: C.
        num_classes: K.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv = pre_activated(nn.Conv3d(in_channels, num_classes, kernel_size=1))

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, z, y, x) to (N, K, z, y, x)."""
        answer: Tensor = self.conv(features)
        return answer

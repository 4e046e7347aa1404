"""Building blocks of the nnU-Net family."""

from __future__ import annotations

from typing import Any

import torch
from monai.networks.blocks import Convolution
from torch import Tensor, nn

from medctx3d.typing import Size3

INSTANCE_AFFINE = ('instance', {'affine': True})
LEAKY_RELU = ('leakyrelu', {'negative_slope': 0.01, 'inplace': True})
Norm = str | tuple[str, dict[str, Any]]


def conv_norm_act(
    in_channels: int, out_channels: int, *, kernel: Size3, stride: Size3 = (1, 1, 1), norm: Norm, act: bool = True
) -> Convolution:
    """Convolution with bias, normalisation and, unless ``act`` is off, leaky ReLU of slope 0.01."""
    return Convolution(
        3,
        in_channels,
        out_channels,
        strides=stride,
        kernel_size=kernel,
        adn_ordering='NA',
        act=LEAKY_RELU if act else None,
        norm=norm,
    )


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut, as in the residual encoders of nnU-Net (arXiv 2404.09556).

    The shortcut averages where the block strides, and projects where the number of channels changes. The last
    normalisation starts at zero, so that a new block is its activated shortcut.

    Args:
        in_channels: Of the input.
        out_channels: Of the output.
        kernel: Of both convolutions.
        stride: Of the first one.
        norm: MONAI's name of the normalisation, or the name and its arguments.
    """

    def __init__(self, in_channels: int, out_channels: int, *, kernel: Size3, stride: Size3, norm: Norm) -> None:
        super().__init__()
        self.first = conv_norm_act(in_channels, out_channels, kernel=kernel, stride=stride, norm=norm)
        self.second = conv_norm_act(out_channels, out_channels, kernel=kernel, norm=norm, act=False)
        shortcut: list[nn.Module] = [nn.AvgPool3d(stride, stride)] if max(stride) > 1 else []
        if in_channels != out_channels:
            shortcut.append(Convolution(3, in_channels, out_channels, kernel_size=1, act=None, norm=norm, bias=False))
        self.shortcut = nn.Sequential(*shortcut)
        self.act = nn.LeakyReLU(0.01, inplace=True)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, C, X, Y, Z) to (N, out_channels, X/s, Y/s, Z/s)."""
        return self.act(self.second(self.first(inputs)) + self.shortcut(inputs))


@torch.no_grad()
def initialise(module: nn.Module) -> None:
    """He initialisation of all convolutions below ``module``, biases 0; residual blocks start as their shortcut."""
    for part in module.modules():
        if isinstance(part, (nn.Conv3d, nn.ConvTranspose3d)):
            nn.init.kaiming_normal_(part.weight, a=0.01)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    for part in module.modules():
        if isinstance(part, ResidualBlock):
            for weight in part.second.get_submodule('adn').parameters():
                nn.init.zeros_(weight)

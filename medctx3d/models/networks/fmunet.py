"""FMUNet: a residual U-Net with pre-activation, published with Volume Fusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from medctx3d.models.blocks.pre_activation import FLAT_STRIDE, same_conv
from medctx3d.models.blocks.slice_modes import MODES, check_crop, check_network
from medctx3d.registry import MODELS

SLOPE = 0.01  # of the LeakyReLU, and the one that He initialisation reckons with


@MODELS.register_module()
class FMUNet(BaseModule):
    """FMUNet (PyMIC's FMUNetV3), written from the description; parameters have the names of the published files.

    For ``WholeNet``. The weights are laid out for (Z, Y, X) as published; volumes are turned on the way in and out.
    With ``levels=4`` it holds what published files hold. Docs: docs/explanation/networks/fmunet.md.

    Args:
        in_channels: C.
        num_classes: K, background included.
        channels: Of the five levels, finest first.
        mode: As in :class:`PCTNet`.
        levels: How many logits levels to answer with, at strides 1, 2, 4 and 8 in the plane; only these get a
            projection.
        depth: Residual units of each level.
        dropout: Of the three deepest levels.
        init_cfg: mmengine's initialisation; without it He's, as published.

    Raises:
        ValueError: Not five levels of channels, an unknown mode, or too many levels.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        channels: Sequence[int] = (32, 64, 128, 256, 512),
        *,
        mode: Literal[0, 1, 2] = 0,
        levels: int = 1,
        depth: int = 2,
        dropout: float = 0.2,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_network('FMUNet', channels, mode, levels)
        flat = (*MODES[mode], False, False, False)
        rates = (0.0, 0.0, dropout, dropout, dropout)
        self.mode = mode
        self.project = same_conv(in_channels, channels[0], flat=flat[0])
        self.encoder = _Encoder(channels, flat, rates, depth)
        self.decoder = _Decoder(channels, flat, rates, depth)
        self.out_layers = nn.ModuleList(
            _activated(same_conv(channels[level], num_classes, flat=flat[level])) for level in range(levels)
        )
        self.apply(_he)

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """(N, C, X, Y, Z) to ``levels`` logits, finest first; logits[0] has the size of the input.

        Raises:
            ValueError: A side of the crop is no multiple of the coarsest stride.
        """
        check_crop('FMUNet', tuple(inputs.shape[2:]), self.mode, deepest=2)
        decoded = self.decoder(self.encoder(self.project(inputs.transpose(2, 4))))
        logits = (out(features) for out, features in zip(self.out_layers, decoded, strict=False))
        return tuple(level.transpose(2, 4).contiguous() for level in logits)


class _ResidualUnits(nn.Module):
    """Some of x + conv(dropout(LeakyReLU(norm(x))))."""

    def __init__(self, channels: int, *, flat: bool, dropout: float, depth: int) -> None:
        super().__init__()
        self.conv_list = nn.ModuleList(
            nn.Sequential(
                nn.InstanceNorm3d(channels, affine=True),
                nn.LeakyReLU(SLOPE),
                nn.Dropout(dropout),
                same_conv(channels, channels, flat=flat),
            )
            for _ in range(depth)
        )

    def forward(self, features: Tensor) -> Tensor:
        for unit in self.conv_list:
            features = features + unit(features)
        return features


class _Down(nn.Module):
    """A convolution with stride."""

    def __init__(self, in_channels: int, out_channels: int, *, flat: bool) -> None:
        super().__init__()
        stride = FLAT_STRIDE if flat else 2
        self.down = _activated(same_conv(in_channels, out_channels, flat=flat, stride=stride))

    def forward(self, features: Tensor) -> Tensor:
        answer: Tensor = self.down(features)
        return answer


class _Up(nn.Module):
    """Fewer channels, linear interpolation, concatenation behind the skip, convolution."""

    def __init__(self, coarse_channels: int, channels: int, *, flat: bool) -> None:
        super().__init__()
        step = FLAT_STRIDE if flat else (2, 2, 2)
        self.up = nn.Sequential(
            *_activated(nn.Conv3d(coarse_channels, channels, kernel_size=1)),
            nn.Upsample(scale_factor=step, mode='trilinear', align_corners=True),
        )
        self.conv = _activated(same_conv(2 * channels, channels, flat=flat))

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        answer: Tensor = self.conv(torch.cat([skip, self.up(coarse)], dim=1))
        return answer


class _Encoder(nn.Module):
    """Five levels."""

    def __init__(self, channels: Sequence[int], flat: Sequence[bool], dropout: Sequence[float], depth: int) -> None:
        super().__init__()
        for level, width in enumerate(channels):
            units = _ResidualUnits(width, flat=flat[level], dropout=dropout[level], depth=depth)
            self.add_module(f'en_conv{level}', units)
        for level in range(4):
            self.add_module(f'down{level}', _Down(channels[level], channels[level + 1], flat=flat[level]))

    def forward(self, features: Tensor) -> list[Tensor]:
        """All five levels, finest first."""
        levels: list[Tensor] = [self.get_submodule('en_conv0')(features)]
        for level in range(4):
            down, units = self.get_submodule(f'down{level}'), self.get_submodule(f'en_conv{level + 1}')
            levels.append(units(down(levels[-1])))
        return levels


class _Decoder(nn.Module):
    """Residual units at the coarsest level, then four levels up."""

    def __init__(self, channels: Sequence[int], flat: Sequence[bool], dropout: Sequence[float], depth: int) -> None:
        super().__init__()
        for level in range(4):
            self.add_module(f'upcat{level}', _Up(channels[level + 1], channels[level], flat=flat[level]))
        for level, width in enumerate(channels):
            units = _ResidualUnits(width, flat=flat[level], dropout=dropout[level], depth=depth)
            self.add_module(f'de_conv{level}', units)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """The four finest levels, finest first."""
        current: Tensor = self.get_submodule('de_conv4')(levels[4])
        decoded: list[Tensor] = []
        for level in (3, 2, 1, 0):
            up, units = self.get_submodule(f'upcat{level}'), self.get_submodule(f'de_conv{level}')
            current = units(up(current, levels[level]))
            decoded.insert(0, current)
        return decoded


def _activated(conv: nn.Conv3d) -> nn.Sequential:
    """InstanceNorm, LeakyReLU, then the convolution."""
    return nn.Sequential(nn.InstanceNorm3d(conv.in_channels, affine=True), nn.LeakyReLU(SLOPE), conv)


def _he(module: nn.Module) -> None:
    if isinstance(module, nn.Conv3d):
        nn.init.kaiming_normal_(module.weight, a=SLOPE)
        assert module.bias is not None, 'all convolutions here have one'
        nn.init.zeros_(module.bias)

"""The layer that PCRLv2's U-Net is made of."""

from __future__ import annotations

from monai.networks.blocks import Convolution

from medctx3d.models.blocks.nnunet_blocks import Norm


def conv_norm_relu(in_channels: int, out_channels: int, norm: Norm) -> Convolution:
    """3x3x3 convolution with bias, normalisation, ReLU."""
    return Convolution(3, in_channels, out_channels, adn_ordering='NA', act='relu', norm=norm)

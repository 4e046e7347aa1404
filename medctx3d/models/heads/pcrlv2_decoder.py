"""The decoder of PCRLv2's 3D U-Net."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medctx3d.models.blocks.conv_norm_relu import conv_norm_relu
from medctx3d.models.blocks.nnunet_blocks import Norm
from medctx3d.models.blocks.strides import Steps, stage_strides
from medctx3d.models.heads.decoder import Decoded, Decoder
from medctx3d.registry import HEADS


@HEADS.register_module()
class PCRLv2Decoder(Decoder):
    """The decoder of PCRLv2's 3D U-Net (arXiv 2301.00772), published without skip connections.

    Each level is a transposed convolution and two convolutions. Without skips only the coarsest feature is read.

    Args:
        num_classes: K, background included.
        in_channels: Of the features, finest first; comes from the backbone.
        strides: Of the features, relative to the image; comes from the backbone.
        skips: Concatenate the encoder's finer features, as a U-Net does.
        norm: As the encoder's.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: Fewer than two features, or strides that do not begin with 1 or do not divide each other.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: Sequence[int],
        strides: Steps,
        skips: bool = False,
        norm: Norm = ('group', {'num_groups': 8}),
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.channels = in_channels[0]
        if len(in_channels) < 2 or len(strides) != len(in_channels):
            raise ValueError(
                f'PCRLv2Decoder needs two features or more, each with its stride; got channels {tuple(in_channels)} '
                f'and strides {tuple(strides)}'
            )
        steps = stage_strides(strides)
        if max(steps[0]) > 1:
            raise ValueError(f'PCRLv2Decoder: the first feature must have stride 1, got {strides[0]}: use UNetDecoder')
        self.skips = skips
        self.ups, self.convs = nn.ModuleList(), nn.ModuleList()  # finest first
        for width, coarser, step in zip(in_channels, in_channels[1:], steps[1:], strict=False):
            self.ups.append(nn.ConvTranspose3d(coarser, coarser, step, step))
            joined = coarser + width if skips else coarser
            self.convs.append(
                nn.Sequential(conv_norm_relu(joined, width, norm), conv_norm_relu(width, width, norm)),
            )
        self.out = nn.Conv3d(in_channels[0], num_classes, 1)

    def forward(self, features: tuple[Tensor, ...]) -> Decoded:
        """Features, finest first, to one logits level and the finest features; see :class:`Decoder`."""
        current = features[-1]
        for level in range(len(self.ups) - 1, -1, -1):
            current = self.ups[level](current)
            if self.skips:
                current = torch.cat([current, features[level]], dim=1)
            current = self.convs[level](current)
        return Decoded((self.out(current),), current)

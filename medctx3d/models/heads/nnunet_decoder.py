"""The decoder of the nnU-Net family."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medctx3d.models.blocks.nnunet_blocks import INSTANCE_AFFINE, Norm, conv_norm_act, initialise
from medctx3d.models.blocks.strides import Steps, resolve_kernels, stage_strides
from medctx3d.models.heads.decoder import Decoded, Decoder
from medctx3d.registry import HEADS


@HEADS.register_module()
class NNUNetDecoder(Decoder):
    """The decoder of the nnU-Net family (arXiv 1904.08128): transposed convolution, skip, convolutions.

    Channels and strides come from the encoder, and kernels follow from the strides as they do there.

    Args:
        num_classes: K, background included.
        in_channels: Of the features, finest first; comes from the backbone.
        strides: Of the features, relative to the image; comes from the backbone.
        depth: Convolutions of each level; 2 behind plain encoders, 1 behind residual ones.
        levels: How many logits levels to answer with, for deep supervision; only these get a projection, because a
            parameter that no loss reaches stops distributed training.
        kernels: As given to the encoder, if they were given there.
        norm: MONAI's name of the normalisation, or the name and its arguments.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: Fewer than two features, strides that do not begin with 1 or do not divide each other, a depth
            below 1, or too many levels.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: Sequence[int],
        strides: Steps,
        depth: int = 2,
        levels: int = 1,
        kernels: Steps | None = None,
        norm: Norm = INSTANCE_AFFINE,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.channels = in_channels[0]
        count = len(in_channels) - 1
        if count < 1 or len(strides) != len(in_channels):
            raise ValueError(
                f'NNUNetDecoder needs two features or more, each with its stride; got channels {tuple(in_channels)} '
                f'and strides {tuple(strides)}'
            )
        if not 1 <= levels <= count:
            raise ValueError(f'NNUNetDecoder: levels must lie in 1..{count}, got {levels}')
        if depth < 1:
            raise ValueError(f'NNUNetDecoder: depth must be at least 1, got {depth}')
        steps = stage_strides(strides)
        if max(steps[0]) > 1:
            raise ValueError(f'NNUNetDecoder: the first feature must have stride 1, got {strides[0]}: use UNetDecoder')
        sizes = resolve_kernels(kernels, steps)
        self.ups, self.convs = nn.ModuleList(), nn.ModuleList()  # finest first
        for level, width in enumerate(in_channels[:-1]):
            step = steps[level + 1]
            self.ups.append(nn.ConvTranspose3d(in_channels[level + 1], width, step, step))
            first = conv_norm_act(2 * width, width, kernel=sizes[level], norm=norm)
            rest = [conv_norm_act(width, width, kernel=sizes[level], norm=norm) for _ in range(depth - 1)]
            self.convs.append(nn.Sequential(first, *rest))
        self.outs = nn.ModuleList(nn.Conv3d(in_channels[level], num_classes, 1) for level in range(levels))
        initialise(self)

    def forward(self, features: tuple[Tensor, ...]) -> Decoded:
        """Features, finest first, to ``levels`` logits and the finest features; see :class:`Decoder`."""
        current = features[-1]
        logits: list[Tensor] = []
        for level in range(len(self.ups) - 1, -1, -1):
            current = self.convs[level](torch.cat([self.ups[level](current), features[level]], dim=1))
            if level < len(self.outs):
                logits.insert(0, self.outs[level](current))
        return Decoded(tuple(logits), current)

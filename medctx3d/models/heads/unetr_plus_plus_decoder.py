"""The decoder half of UNETR++."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from monai.networks.blocks.dynunet_block import UnetResBlock
from torch import Tensor, nn

from medctx3d.models.blocks import EPABlock
from medctx3d.models.blocks.paired_attention import Fusion, TokenProjection
from medctx3d.models.blocks.sizes import token_grids, triple
from medctx3d.models.heads.decoder import Decoded, Decoder
from medctx3d.registry import HEADS
from medctx3d.typing import Size3


@HEADS.register_module()
class UNETRPlusPlusDecoder(Decoder):
    """The decoder half of UNETR++ (arXiv 2212.04497): skips are added, then paired attention; convolutions at the end.

    The defaults belong to the defaults of :class:`UNETRPlusPlusEncoder`. The published initialisation of linear
    layers is the encoder's alone; here torch's stays.

    Args:
        num_classes: K, background included.
        in_channels: Of the features, finest first; comes from the backbone.
        strides: Of the features; comes from the backbone.
        img_size: Crop (X, Y, Z) in voxels, that of the backbone.
        levels: How many logits levels to answer with, for deep supervision; only these get a projection, because a
            parameter that no loss reaches stops distributed training. The published networks have 3.
        depths: Blocks of each level between the finest and the coarsest, finest first.
        num_heads: Attention heads.
        projection_size: To how many tokens keys and values are reduced.
        projection: See :class:`~medctx3d.models.blocks.EfficientPairedAttention`.
        fusion: See there.
        convolutions: Residual blocks after each attention.
        attention_dropout: Of the attention maps.
        published_spatial_order: Scramble tokens and channels in the spatial branch as published.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: Fewer than three features, strides that are no multiples of each other, lists of different lengths,
            an ``img_size`` that is no multiple of the coarsest stride, or too many levels.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: Sequence[int],
        strides: Sequence[int | Sequence[int]],
        img_size: Size3,
        levels: int = 1,
        depths: Sequence[int] = (3, 3, 3),
        num_heads: int = 4,
        projection_size: int = 64,
        projection: TokenProjection = 'shared',
        fusion: Fusion = 'concat',
        convolutions: int = 1,
        attention_dropout: float = 0.15,
        published_spatial_order: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.channels = in_channels[0]
        widths, total = tuple(in_channels), [triple(stride) for stride in strides]
        _check(widths, total, levels, depths)
        self.img_size, grids = tuple(img_size), token_grids(img_size, total)
        block = partial(
            EPABlock,
            num_heads=num_heads,
            projection_size=projection_size,
            projection=projection,
            fusion=fusion,
            convolutions=convolutions,
            attention_dropout=attention_dropout,
            published_spatial_order=published_spatial_order,
        )
        self.ups = nn.ModuleList(_up(widths, total, level) for level in range(len(widths) - 1))  # finest first
        self.blocks = nn.ModuleList([UnetResBlock(3, widths[0], widths[0], 3, 1, norm_name='instance')])
        self.blocks.extend(
            nn.Sequential(*(block(widths[level], grids[level]) for _ in range(depth)))
            for level, depth in enumerate(depths, start=1)
        )
        self.outs = nn.ModuleList(nn.Conv3d(widths[level], num_classes, kernel_size=1) for level in range(levels))

    def forward(self, features: tuple[Tensor, ...]) -> Decoded:
        """Features, finest first, to ``levels`` logits and the finest features; see :class:`Decoder`.

        Raises:
            ValueError: The features come from another crop than ``img_size``.
        """
        if tuple(features[0].shape[2:]) != self.img_size:
            raise ValueError(
                f'UNETRPlusPlusDecoder was built for crops of {self.img_size} voxels, got features of '
                f'{tuple(features[0].shape[2:])}: give backbone and decode_head one img_size'
            )
        current = features[-1]
        logits: list[Tensor] = []
        for level in range(len(self.ups) - 1, -1, -1):
            current = self.blocks[level](self.ups[level](current) + features[level])
            if level < len(self.outs):
                logits.insert(0, self.outs[level](current))
        return Decoded(tuple(logits), current)


def _up(widths: Sequence[int], strides: Sequence[Size3], level: int) -> nn.ConvTranspose3d:
    """From the level below to ``level``."""
    x, y, z = (coarse // fine for fine, coarse in zip(strides[level], strides[level + 1], strict=True))
    return nn.ConvTranspose3d(widths[level + 1], widths[level], kernel_size=(x, y, z), stride=(x, y, z), bias=False)


def _check(widths: Sequence[int], strides: Sequence[Size3], levels: int, depths: Sequence[int]) -> None:
    if len(widths) < 3 or len(strides) != len(widths) or strides[0] != (1, 1, 1):
        raise ValueError(
            'UNETRPlusPlusDecoder needs three features or more, each with its stride, the first at stride 1; got '
            f'channels {tuple(widths)} at strides {tuple(strides)}'
        )
    for fine, coarse in pairwise(strides):
        if any(above % below for below, above in zip(fine, coarse, strict=True)):
            raise ValueError(
                f'UNETRPlusPlusDecoder: each stride must be a multiple of the one before, got {tuple(strides)}'
            )
    if len(depths) != len(widths) - 2:
        raise ValueError(
            f'UNETRPlusPlusDecoder: {len(widths)} features need {len(widths) - 2} depths, got {tuple(depths)}'
        )
    if not 1 <= levels < len(widths):
        raise ValueError(f'UNETRPlusPlusDecoder: levels must lie in 1..{len(widths) - 1}, got {levels}')

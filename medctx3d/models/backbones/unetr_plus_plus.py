"""The encoder half of UNETR++."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from mmengine.model import BaseModule
from monai.networks.blocks.dynunet_block import UnetResBlock
from torch import Tensor, nn

from medctx3d.models.backbones.swin_unetr import hide_tokens
from medctx3d.models.blocks import EPABlock
from medctx3d.models.blocks.paired_attention import Fusion, TokenProjection
from medctx3d.models.blocks.sizes import token_grids, triple
from medctx3d.registry import BACKBONES
from medctx3d.typing import Size3


@BACKBONES.register_module()
class UNETRPlusPlusEncoder(BaseModule):
    """The encoder half of UNETR++ (arXiv 2212.04497): stages of paired attention, and a full-resolution skip.

    Written from the description; the defaults are the network for Synapse, at crops of 128x128x64 voxels. Others and
    the published deviations: docs/explanation/networks/unetr_plus_plus.md.

    Positions and token projections, most of the weights, are made for one crop. The full-resolution skip reads the
    image itself: a token mask alone does not hide it.

    Args:
        in_channels: C.
        img_size: Crop (X, Y, Z) in voxels, multiples of the coarsest stride.
        feature_size: Channels of the full-resolution skip.
        channels: Channels of each stage, finest first.
        token_patch: Voxels of a token of the first stage along (X, Y, Z); each later stage halves the grid.
        depths: Blocks of each stage.
        num_heads: Attention heads.
        projection_sizes: To how many tokens each stage reduces keys and values.
        projection: See :class:`~medctx3d.models.blocks.EfficientPairedAttention`.
        fusion: See there.
        convolutions: Residual blocks after each attention.
        attention_dropout: Of the attention maps.
        stem_groups: Groups of the stem's normalisation; None: one per input channel, as published.
        published_spatial_order: Scramble tokens and channels in the spatial branch as published.
        token_masking: Own a learnable mask token; see :class:`SwinUNETREncoder`. Hidden tokens keep their positions.
        use_checkpoint: Recompute the attention in the backward pass instead of storing it.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: ``img_size`` is no multiple of the coarsest stride, lists of different lengths, or groups that do
            not divide the channels.
    """

    def __init__(
        self,
        in_channels: int,
        img_size: Size3,
        *,
        feature_size: int = 16,
        channels: Sequence[int] = (32, 64, 128, 256),
        token_patch: int | Sequence[int] = (4, 4, 2),
        depths: Sequence[int] = (3, 3, 3, 3),
        num_heads: int = 4,
        projection_sizes: Sequence[int] = (64, 64, 64, 32),
        projection: TokenProjection = 'shared',
        fusion: Fusion = 'concat',
        convolutions: int = 1,
        attention_dropout: float = 0.15,
        stem_groups: int | None = None,
        published_spatial_order: bool = False,
        token_masking: bool = False,
        use_checkpoint: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        groups = in_channels if stem_groups is None else stem_groups
        _check_lists(channels, depths, projection_sizes, groups)
        px, py, pz = triple(token_patch)
        strides: list[Size3] = [(px * 2**stage, py * 2**stage, pz * 2**stage) for stage in range(len(channels))]
        self.img_size, grids = tuple(img_size), token_grids(img_size, strides)
        self.skip = UnetResBlock(3, in_channels, feature_size, 3, 1, norm_name='instance')
        self.mask_token = nn.Parameter(torch.zeros(channels[0])) if token_masking else None
        self.embeddings = nn.ModuleList([_embedding(in_channels, channels[0], strides[0], groups)])
        self.embeddings.extend(_embedding(fine, coarse, (2, 2, 2), fine) for fine, coarse in pairwise(channels))
        block = partial(
            EPABlock,
            num_heads=num_heads,
            projection=projection,
            fusion=fusion,
            convolutions=convolutions,
            attention_dropout=attention_dropout,
            published_spatial_order=published_spatial_order,
            use_checkpoint=use_checkpoint,
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(block(width, grid, projection_size=size) for _ in range(depth)))
            for width, grid, size, depth in zip(channels, grids, projection_sizes, depths, strict=True)
        )
        self.apply(_init_linear)
        self.out_channels = (feature_size, *channels)
        self.out_strides = (1, *strides)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        """Encode a crop.

        Args:
            inputs: (N, C, X, Y, Z), exactly ``img_size``.
            mask: (N, gx, gy, gz) bool, True = hidden tokens.

        Returns:
            The full-resolution skip and the stages' features, finest first.

        Raises:
            ValueError: Another crop size than ``img_size``, or a mask without ``token_masking``.
        """
        if tuple(inputs.shape[2:]) != self.img_size:
            raise ValueError(
                f'UNETRPlusPlusEncoder was built for crops of {self.img_size} voxels, got {tuple(inputs.shape[2:])}: '
                'set img_size, the crop and the roi_size of the inferer to one value'
            )
        features, current = [self.skip(inputs)], inputs
        for stage, (embedding, blocks) in enumerate(zip(self.embeddings, self.stages, strict=True)):
            current = embedding(current)
            if stage == 0 and mask is not None:
                current = hide_tokens(current, mask, self.mask_token)
            current = blocks(current)
            features.append(current)
        return tuple(features)


def _embedding(in_channels: int, channels: int, stride: Size3, groups: int) -> nn.Sequential:
    """Cells of ``stride`` voxels or tokens to one token each."""
    return nn.Sequential(
        nn.Conv3d(in_channels, channels, kernel_size=stride, stride=stride, bias=False),
        nn.GroupNorm(groups, channels),
    )


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _check_lists(channels: Sequence[int], depths: Sequence[int], projection_sizes: Sequence[int], groups: int) -> None:
    if not len(channels) == len(depths) == len(projection_sizes):
        raise ValueError(
            f'UNETRPlusPlusEncoder: one depth and projection size per stage; got {len(channels)} channels, '
            f'{len(depths)} depths and {len(projection_sizes)} projection_sizes'
        )
    if channels[0] % groups:
        raise ValueError(
            f'UNETRPlusPlusEncoder: the stem has {groups} groups, one per input channel unless stem_groups says '
            f'otherwise, which do not divide {channels[0]} channels: set stem_groups'
        )
    if any(coarse % fine for fine, coarse in pairwise(channels)):
        raise ValueError(
            f'UNETRPlusPlusEncoder: channels must be multiples of those of the stage before, got {tuple(channels)}'
        )

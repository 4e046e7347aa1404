"""The encoder half of nnFormer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from medctx3d.models.backbones.swin_unetr import hide_tokens
from medctx3d.models.blocks import SelfWindowBlock, VolumeLayerNorm
from medctx3d.models.blocks.sizes import heads_of, triple
from medctx3d.models.blocks.strides import total_strides
from medctx3d.registry import BACKBONES
from medctx3d.typing import Size3

HEAD_CHANNELS = 32


@BACKBONES.register_module()
class NNFormerEncoder(BaseModule):
    """The encoder half of nnFormer (arXiv 2109.03201): a convolutional stem and stages of shifted-window attention.

    Written from the description; the defaults are the network for Synapse, at crops of 128x128x64 voxels. Others and
    the published deviations: docs/explanation/networks/nnformer.md.

    Crop sides must be multiples of ``token_patch`` and not below the coarsest stride. A grid that is halved loses its
    odd last token, so the grid of a feature is the crop divided by its stride, rounded down: 14 slices at stride 4 are
    3. Windows are laid on the actual grid; no weight depends on the crop.

    No skip passes the mask token by, but the stem's convolutions overlap: a visible token next to a hidden one sees
    up to 9 voxels of it. Only voxel masks hide without a margin.

    Args:
        in_channels: C.
        feature_size: Channels of the first stage, an even number; each later stage has twice those of the one before.
        token_patch: Voxels of a token along (X, Y, Z), each 1, 2 or 4.
        down_strides: Stride before each stage but the first, 1 or 2 per axis.
        depths: Blocks of each stage; every second one is shifted.
        num_heads: Attention heads of each stage. None: one per 32 channels.
        windows: Attention window of each stage in tokens, one number or one per axis.
        drop_path_rate: Stochastic depth of the last block; earlier ones get less, the first none.
        shift_mask: Keep tokens apart that only the shift or the padding of windows brings together. False: as
            published for ACDC.
        published_position_index: Let relative positions share rows of the bias table as published.
        token_masking: Own a learnable mask token; see :class:`SwinUNETREncoder`.
        use_checkpoint: Recompute stages in the backward pass instead of storing them.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: Lists of different lengths, a patch or stride other than those above, an odd ``feature_size``, or
            heads that do not divide the channels.
    """

    def __init__(
        self,
        in_channels: int,
        feature_size: int = 192,
        *,
        token_patch: int | Sequence[int] = (4, 4, 2),
        down_strides: Sequence[int | Sequence[int]] = (2, 2, 2),
        depths: Sequence[int] = (2, 2, 2, 2),
        num_heads: Sequence[int] | None = None,
        windows: Sequence[int | Sequence[int]] = (4, 4, 8, 4),
        drop_path_rate: float = 0.2,
        shift_mask: bool = True,
        published_position_index: bool = False,
        token_masking: bool = False,
        use_checkpoint: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.token_patch, steps = triple(token_patch), [triple(stride) for stride in down_strides]
        widths = tuple(feature_size * 2**stage for stage in range(len(depths)))
        heads = heads_of(widths, HEAD_CHANNELS) if num_heads is None else tuple(num_heads)
        _check(feature_size, self.token_patch, steps, depths=depths, heads=heads, windows=windows)
        self.stem = _stem(in_channels, feature_size, self.token_patch)
        self.mask_token = nn.Parameter(torch.zeros(feature_size)) if token_masking else None
        self.downs = nn.ModuleList(_Down(width, step) for width, step in zip(widths[:-1], steps, strict=True))
        rates = np.linspace(0, drop_path_rate, sum(depths)).tolist()
        self.stages = nn.ModuleList(
            _Stage(
                width,
                heads[stage],
                window=triple(windows[stage]),
                drop_paths=rates[sum(depths[:stage]) : sum(depths[: stage + 1])],
                shift_mask=shift_mask,
                published_position_index=published_position_index,
            )
            for stage, width in enumerate(widths)
        )
        self.norms = nn.ModuleList(VolumeLayerNorm(width) for width in widths)
        self.use_checkpoint = use_checkpoint
        self.out_channels = widths
        self.out_strides = total_strides((self.token_patch, *steps))

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        """Encode a crop.

        Args:
            inputs: (N, C, X, Y, Z); see the class for the sides.
            mask: (N, gx, gy, gz) bool, True = hidden tokens.

        Returns:
            The stages' features, finest first, each normalised over its channels.

        Raises:
            ValueError: Sides that the network cannot take, or a mask is given without ``token_masking``.
        """
        self._check_crop(tuple(inputs.shape[2:]))
        features = self.stem(inputs)
        if mask is not None:
            features = hide_tokens(features, mask, self.mask_token)
        outputs = []
        for stage, blocks in enumerate(self.stages):
            if stage > 0:
                features = self.downs[stage - 1](features)
            if self.use_checkpoint and self.training and torch.is_grad_enabled():
                features = checkpoint(blocks, features, use_reentrant=False)
            else:
                features = blocks(features)
            outputs.append(self.norms[stage](features))  # the next stage starts from the features before their norm
        return tuple(outputs)

    def _check_crop(self, crop: tuple[int, ...]) -> None:
        coarsest = self.out_strides[-1]
        divided = all(side % patch == 0 for side, patch in zip(crop, self.token_patch, strict=True))
        if not divided or any(side < stride for side, stride in zip(crop, coarsest, strict=True)):
            raise ValueError(
                f'NNFormerEncoder: crop sides must be multiples of token_patch {self.token_patch} and at least the '
                f'coarsest stride {coarsest}, got {crop}'
            )


class _Stage(nn.Module):
    """Blocks of attention inside windows, every second one with shifted windows."""

    def __init__(
        self,
        channels: int,
        num_heads: int,
        *,
        window: Size3,
        drop_paths: Sequence[float],
        shift_mask: bool,
        published_position_index: bool,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            SelfWindowBlock(
                channels,
                num_heads,
                window=window,
                shifted=index % 2 == 1,
                drop_path=drop_path,
                shift_mask=shift_mask,
                published_position_index=published_position_index,
            )
            for index, drop_path in enumerate(drop_paths)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, x, y, z) to the same shape."""
        tokens = features.movedim(1, 4)
        for block in self.blocks:
            tokens = block(tokens)
        return tokens.movedim(4, 1)


class _Down(nn.Module):
    """GELU, norm, and a convolution that halves some axes, doubling the channels."""

    def __init__(self, channels: int, stride: Size3) -> None:
        super().__init__()
        self.stride = stride
        x, y, z = (3 if step == 2 else 1 for step in stride)
        self.norm = VolumeLayerNorm(channels)
        self.conv = nn.Conv3d(channels, 2 * channels, kernel_size=(x, y, z), stride=stride)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, x, y, z) to (N, 2C, ...), halved axes rounded down."""
        features = self.norm(F.gelu(features))
        # One zero before an even axis is what a padding of 1 does; an odd axis has, as published (7 to 3), none.
        before = [int(step == 2 and side % 2 == 0) for step, side in zip(self.stride, features.shape[2:], strict=True)]
        return self.conv(F.pad(features, (before[2], 0, before[1], 0, before[0], 0)))


def _stem(in_channels: int, channels: int, token_patch: Size3) -> nn.Sequential:
    """Image to normalised tokens by four convolutions; the first and the third have strides."""
    half = channels // 2
    x, y, z = (min(side, 2) for side in token_patch)
    first, second = (x, y, z), (token_patch[0] // x, token_patch[1] // y, token_patch[2] // z)
    return nn.Sequential(
        nn.Conv3d(in_channels, half, kernel_size=3, stride=first, padding=1),
        nn.GELU(),
        VolumeLayerNorm(half),
        nn.Conv3d(half, half, kernel_size=3, padding=1),
        nn.GELU(),
        VolumeLayerNorm(half),
        nn.Conv3d(half, channels, kernel_size=3, stride=second, padding=1),
        nn.GELU(),
        VolumeLayerNorm(channels),
        nn.Conv3d(channels, channels, kernel_size=3, padding=1),
        VolumeLayerNorm(channels),
    )


def _check(
    feature_size: int,
    token_patch: Size3,
    steps: Sequence[Size3],
    *,
    depths: Sequence[int],
    heads: Sequence[int],
    windows: Sequence[int | Sequence[int]],
) -> None:
    if feature_size < 2 or feature_size % 2:
        raise ValueError(f'NNFormerEncoder: feature_size must be even, the stem starts with half; got {feature_size}')
    if any(side not in (1, 2, 4) for side in token_patch):
        raise ValueError(f'NNFormerEncoder: token_patch must be 1, 2 or 4 voxels per axis, got {token_patch}')
    if any(side not in (1, 2) for step in steps for side in step):
        raise ValueError(f'NNFormerEncoder: down_strides must be 1 or 2 per axis, got {steps}')
    if not len(depths) == len(heads) == len(windows) == len(steps) + 1:
        raise ValueError(
            f'NNFormerEncoder: one depth, num_heads and window per stage and one down_stride between two; got '
            f'{len(depths)} depths, {len(heads)} num_heads, {len(windows)} windows and {len(steps)} down_strides'
        )

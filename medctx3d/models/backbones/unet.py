"""A convolutional encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from mmengine.model import BaseModule
from monai.networks.blocks.dynunet_block import UnetBasicBlock, UnetResBlock
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from medctx3d.registry import BACKBONES
from medctx3d.typing import Size3

_BLOCKS = {'plain': UnetBasicBlock, 'residual': UnetResBlock}


@BACKBONES.register_module()
class UNetEncoder(BaseModule):
    """The contracting half of a U-Net: one block of two 3x3x3 convolutions per stage.

    Args:
        in_channels: C.
        channels: Channels of each stage, finest first.
        strides: Stride at which each stage begins, relative to the one before; one number or one per axis. The first
            is usually 1.
        block: ``plain`` or ``residual`` convolutions.
        norm: MONAI's name of the normalisation.
        use_checkpoint: Recompute stages in the backward pass instead of storing them.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: Not one stride per stage, or an unknown block.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int] = (32, 64, 128, 256, 320),
        *,
        strides: Sequence[int | Sequence[int]] = (1, 2, 2, 2, 2),
        block: Literal['plain', 'residual'] = 'residual',
        norm: str = 'instance',
        use_checkpoint: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(strides) != len(channels):
            raise ValueError(f'UNetEncoder: one stride per stage; {len(channels)} channels but strides {strides}')
        if block not in _BLOCKS:
            raise ValueError(f"UNetEncoder: block must be 'plain' or 'residual', got {block!r}")
        steps: list[Size3] = [_triple(stride) for stride in strides]
        widths = (in_channels, *channels)
        self.stages = nn.ModuleList(
            _BLOCKS[block](3, widths[i], widths[i + 1], kernel_size=3, stride=steps[i], norm_name=norm)
            for i in range(len(channels))
        )
        self.use_checkpoint = use_checkpoint
        self.out_channels = tuple(channels)
        total = (1, 1, 1)
        out_strides = []
        for step in steps:
            total = (total[0] * step[0], total[1] * step[1], total[2] * step[2])
            out_strides.append(total)
        self.out_strides = tuple(out_strides)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        """Encode (N, C, X, Y, Z), sides multiples of the last of ``out_strides``.

        Raises:
            ValueError: A token mask is given; a convolutional encoder has no tokens.
        """
        if mask is not None:
            raise ValueError("UNetEncoder has no tokens to hide: set mask_space='voxel' in the head's config")
        features, current = [], inputs
        for stage in self.stages:
            if self.use_checkpoint and self.training and torch.is_grad_enabled():
                current = checkpoint(stage, current, use_reentrant=False)
            else:
                current = stage(current)
            features.append(current)
        return tuple(features)


def _triple(stride: int | Sequence[int]) -> Size3:
    if isinstance(stride, int):
        return stride, stride, stride
    x, y, z = stride
    return x, y, z

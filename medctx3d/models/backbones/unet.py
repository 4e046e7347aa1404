"""A convolutional encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from monai.networks.blocks.dynunet_block import UnetBasicBlock, UnetResBlock

from medctx3d.models.backbones.staged_encoder import StagedEncoder
from medctx3d.models.blocks.sizes import triple
from medctx3d.registry import BACKBONES

_BLOCKS = {'plain': UnetBasicBlock, 'residual': UnetResBlock}


@BACKBONES.register_module()
class UNetEncoder(StagedEncoder):
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
        if len(strides) != len(channels):
            raise ValueError(f'UNetEncoder: one stride per stage; {len(channels)} channels but strides {strides}')
        if block not in _BLOCKS:
            raise ValueError(f"UNetEncoder: block must be 'plain' or 'residual', got {block!r}")
        steps = [triple(stride) for stride in strides]
        widths = (in_channels, *channels)
        stages = [
            _BLOCKS[block](3, widths[i], widths[i + 1], kernel_size=3, stride=steps[i], norm_name=norm)
            for i in range(len(channels))
        ]
        super().__init__(stages, channels=channels, steps=steps, use_checkpoint=use_checkpoint, init_cfg=init_cfg)

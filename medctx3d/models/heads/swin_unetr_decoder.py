"""The decoder half of MONAI's Swin UNETR."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from monai.networks.blocks import UnetOutBlock, UnetrUpBlock
from torch import Tensor

from medctx3d.registry import HEADS


@HEADS.register_module()
class SwinUNETRDecoder(BaseModule):
    """The decoder half of MONAI's Swin UNETR, with its parameter names.

    Args:
        num_classes: K, background included.
        in_channels: Of the features, finest first; comes from the backbone.
        strides: Of the features; comes from the backbone.
        norm: MONAI's name of the normalisation.
        init_cfg: mmengine's initialisation.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: Sequence[int],
        strides: Sequence,
        norm: str = 'instance',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(in_channels) != 6 or tuple(strides) != (1, 2, 4, 8, 16, 32):
            raise ValueError(
                'SwinUNETRDecoder needs six features at strides 1, 2, 4, 8, 16, 32 as SwinUNETREncoder gives them, '
                f'got channels {tuple(in_channels)} at strides {tuple(strides)}'
            )
        for level in range(5, 0, -1):  # decoder5 is the coarsest, as in MONAI
            block = UnetrUpBlock(3, in_channels[level], in_channels[level - 1], 3, 2, norm_name=norm, res_block=True)
            self.add_module(f'decoder{level}', block)
        self.out = UnetOutBlock(3, in_channels[0], num_classes)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Six features, finest first, to one logits level (N, K, X, Y, Z)."""
        current = features[5]
        for level in range(5, 0, -1):
            current = self.get_submodule(f'decoder{level}')(current, features[level - 1])
        return (self.out(current),)

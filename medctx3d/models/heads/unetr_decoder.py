"""The decoder half of MONAI's UNETR and Swin UNETR."""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.blocks import UnetOutBlock, UnetrUpBlock
from torch import Tensor

from medctx3d.models.heads.decoder import Decoded, Decoder
from medctx3d.registry import HEADS

COARSEST = 5  # MONAI numbers the blocks of both networks down from here


@HEADS.register_module(name=['UNETRDecoder', 'SwinUNETRDecoder'])
class UNETRDecoder(Decoder):
    """The decoder half of MONAI's UNETR and Swin UNETR, with their parameter names.

    The two differ in their number of levels alone, which the backbone states: five features for UNETR, six for Swin
    UNETR. Both names build this class.

    Args:
        num_classes: K, background included.
        in_channels: Of the features, finest first; comes from the backbone.
        strides: Of the features; comes from the backbone.
        norm: MONAI's name of the normalisation.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: Features whose strides are not 1, 2, 4, ...
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
        self.channels = in_channels[0]
        count = len(in_channels)
        if not 2 <= count <= COARSEST + 1 or tuple(strides) != tuple(2**level for level in range(count)):
            raise ValueError(
                'UNETRDecoder needs features at strides 1, 2, 4, ... as UNETREncoder and SwinUNETREncoder give them, '
                f'got channels {tuple(in_channels)} at strides {tuple(strides)}: use UNetDecoder'
            )
        self.names = [f'decoder{COARSEST - skipped}' for skipped in range(count - 1)]  # coarsest first
        for level, name in zip(range(count - 1, 0, -1), self.names, strict=True):
            block = UnetrUpBlock(3, in_channels[level], in_channels[level - 1], 3, 2, norm_name=norm, res_block=True)
            self.add_module(name, block)
        self.out = UnetOutBlock(3, in_channels[0], num_classes)

    def forward(self, features: tuple[Tensor, ...]) -> Decoded:
        """Features, finest first, to one logits level and the finest features; see :class:`Decoder`."""
        current = features[-1]
        for name, skip in zip(self.names, reversed(features[:-1]), strict=True):
            current = self.get_submodule(name)(current, skip)
        return Decoded((self.out(current),), current)

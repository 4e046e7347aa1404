"""A convolutional decoder for any encoder."""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.blocks.dynunet_block import UnetOutBlock, UnetUpBlock
from torch import Tensor, nn
from torch.nn import functional as F

from medctx3d.models.blocks.strides import stage_strides
from medctx3d.models.heads.decoder import Decoded, Decoder
from medctx3d.registry import HEADS


@HEADS.register_module()
class UNetDecoder(Decoder):
    """The expanding half of a U-Net; takes its channels and strides from whatever encoder stands before it.

    Args:
        num_classes: K, background included.
        in_channels: Of the features, finest first; comes from the backbone.
        strides: Of the features, one number or one per axis; comes from the backbone.
        levels: How many logits levels to answer with, for deep supervision; only these get a projection, because a
            parameter that no loss reaches stops distributed training.
        norm: MONAI's name of the normalisation.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: Fewer than two features, strides that do not divide each other, or too many levels.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: Sequence[int],
        strides: Sequence[int | Sequence[int]],
        levels: int = 1,
        norm: str = 'instance',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.channels = in_channels[0]
        if len(in_channels) < 2 or len(strides) != len(in_channels):
            raise ValueError(
                f'UNetDecoder needs two features or more, each with its stride; got channels {tuple(in_channels)} '
                f'and strides {tuple(strides)}'
            )
        if not 1 <= levels < len(in_channels):
            raise ValueError(f'UNetDecoder: levels must lie in 1..{len(in_channels) - 1}, got {levels}')
        steps = stage_strides(strides)
        self.first_stride = steps[0]
        self.blocks = nn.ModuleList()  # finest first
        for level, step in enumerate(steps[1:]):
            self.blocks.append(
                UnetUpBlock(
                    3, in_channels[level + 1], in_channels[level], 3, 1, upsample_kernel_size=step, norm_name=norm
                )
            )
        self.outs = nn.ModuleList(UnetOutBlock(3, in_channels[level], num_classes) for level in range(levels))

    def forward(self, features: tuple[Tensor, ...]) -> Decoded:
        """Features, finest first, to ``levels`` logits and the finest features; see :class:`Decoder`."""
        current = features[-1]
        levels: list[Tensor] = []
        for level in range(len(self.blocks) - 1, -1, -1):
            current = self.blocks[level](current, features[level])
            if level < len(self.outs):
                levels.insert(0, self.outs[level](current))
        if levels and max(self.first_stride) > 1:  # an encoder whose finest feature is coarser than the image
            size = [side * step for side, step in zip(levels[0].shape[2:], self.first_stride, strict=True)]
            levels[0] = F.interpolate(levels[0], size=size, mode='trilinear')
        return Decoded(tuple(levels), current)

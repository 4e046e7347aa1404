"""The encoder of PCRLv2's 3D U-Net."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from medctx3d.models.backbones.staged_encoder import StagedEncoder
from medctx3d.models.blocks.conv_norm_relu import conv_norm_relu
from medctx3d.models.blocks.nnunet_blocks import Norm
from medctx3d.registry import BACKBONES


@BACKBONES.register_module()
class PCRLv2Encoder(StagedEncoder):
    """The encoder of PCRLv2's 3D U-Net (arXiv 2301.00772): two convolutions per stage, max-pooling between.

    The first convolution of a stage has half the stage's channels.

    Args:
        in_channels: C.
        channels: Channels of each stage, finest first; even numbers.
        norm: MONAI's name of the normalisation, or the name and its arguments. Published: groups of 8 for
            segmentation, ``'batch'`` for pretraining. With ``'batch'`` and ``use_checkpoint`` the running statistics
            move twice per step.
        use_checkpoint: Recompute stages in the backward pass instead of storing them.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: An odd number of channels.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int] = (64, 128, 256, 512),
        *,
        norm: Norm = ('group', {'num_groups': 8}),
        use_checkpoint: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        if any(width % 2 for width in channels):
            raise ValueError(f'PCRLv2Encoder: channels must be even, got {tuple(channels)}')
        stages = []
        for stage, (before, width) in enumerate(zip((in_channels, *channels[:-1]), channels, strict=True)):
            pool: list[nn.Module] = [nn.MaxPool3d(2)] if stage else []
            layers = [conv_norm_relu(before, width // 2, norm), conv_norm_relu(width // 2, width, norm)]
            stages.append(nn.Sequential(*pool, *layers))
        steps = (1, *[2] * (len(channels) - 1))
        super().__init__(stages, channels=channels, steps=steps, use_checkpoint=use_checkpoint, init_cfg=init_cfg)

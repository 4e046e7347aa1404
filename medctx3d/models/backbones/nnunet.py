"""The encoders of the nnU-Net family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from torch import nn

from medctx3d.models.backbones.staged_encoder import StagedEncoder
from medctx3d.models.blocks.nnunet_blocks import INSTANCE_AFFINE, Norm, ResidualBlock, conv_norm_act, initialise
from medctx3d.models.blocks.sizes import triple
from medctx3d.models.blocks.strides import Steps, resolve_kernels
from medctx3d.registry import BACKBONES
from medctx3d.typing import Size3

_BLOCKS: dict[str, Callable[..., nn.Module]] = {'plain': conv_norm_act, 'residual': ResidualBlock}


@BACKBONES.register_module()
class NNUNetEncoder(StagedEncoder):
    """The encoders of the nnU-Net family: plain (arXiv 1904.08128) and residual, ResEnc (arXiv 2404.09556).

    A plain stage is a chain of convolution, instance norm and leaky ReLU; a residual one a chain of residual blocks,
    behind a stem of one convolution in the first stage. The first block of a stage strides. Kernels follow from the
    strides, in the decoder too: see :func:`~medctx3d.models.blocks.strides.kernels_for`. Weights start as He's.

    Args:
        in_channels: C.
        channels: Channels of each stage, finest first.
        strides: Stride at which each stage begins, relative to the one before; one number or one per axis. The first
            is 1.
        depths: Convolutions (``plain``) or residual blocks of each stage; one number for all, or one per stage.
        block: ``plain`` or ``residual``.
        kernels: One kernel per stage, for plans in which they do not follow from the strides; give the decoder the
            same.
        norm: MONAI's name of the normalisation, or the name and its arguments.
        use_checkpoint: Recompute stages in the backward pass instead of storing them.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: Not one stride, depth or kernel per stage, a depth below 1, a first stride above 1, or an unknown
            block.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int] = (32, 64, 128, 256, 320, 320),
        *,
        strides: Steps = (1, 2, 2, 2, 2, 2),
        depths: int | Sequence[int] = 2,
        block: Literal['plain', 'residual'] = 'plain',
        kernels: Steps | None = None,
        norm: Norm = INSTANCE_AFFINE,
        use_checkpoint: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        counts = (depths,) * len(channels) if isinstance(depths, int) else tuple(depths)
        steps = [triple(step) for step in strides]
        _check(channels, steps, counts, block)
        sizes = resolve_kernels(kernels, steps)
        stem = [conv_norm_act(in_channels, channels[0], kernel=sizes[0], norm=norm)] if block == 'residual' else []
        before = (channels[0] if stem else in_channels, *channels[:-1])
        stages = [
            _stage(block, before[i], channels[i], depth=counts[i], kernel=sizes[i], stride=steps[i], norm=norm)
            for i in range(len(channels))
        ]
        stages[0] = nn.Sequential(*stem, *stages[0])
        super().__init__(stages, channels=channels, steps=steps, use_checkpoint=use_checkpoint, init_cfg=init_cfg)
        initialise(self)


def _check(channels: Sequence[int], steps: Sequence[Size3], depths: Sequence[int], block: str) -> None:
    if not len(steps) == len(depths) == len(channels):
        raise ValueError(
            f'NNUNetEncoder needs one stride and one depth per stage, got {len(channels)} channels, '
            f'strides {tuple(steps)} and depths {tuple(depths)}'
        )
    if min(depths) < 1:
        raise ValueError(f'NNUNetEncoder: every depth must be at least 1, got {tuple(depths)}')
    if block not in _BLOCKS:
        raise ValueError(f"NNUNetEncoder: block must be 'plain' or 'residual', got {block!r}")
    if max(steps[0]) > 1:
        raise ValueError(f'NNUNetEncoder: the first stride must be 1, got {steps[0]}')


def _stage(
    block: str, in_channels: int, out_channels: int, *, depth: int, kernel: Size3, stride: Size3, norm: Norm
) -> nn.Sequential:
    make = _BLOCKS[block]
    first = make(in_channels, out_channels, kernel=kernel, stride=stride, norm=norm)
    rest = [make(out_channels, out_channels, kernel=kernel, stride=(1, 1, 1), norm=norm) for _ in range(depth - 1)]
    return nn.Sequential(first, *rest)

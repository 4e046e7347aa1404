"""The decoder half of nnFormer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from torch import Tensor, nn

from medctx3d.models.blocks import CrossWindowBlock, SelfWindowBlock, VolumeLayerNorm
from medctx3d.models.blocks.sizes import heads_of, triple
from medctx3d.models.heads.decoder import Decoded, Decoder
from medctx3d.registry import HEADS
from medctx3d.typing import Size3

HEAD_CHANNELS = 32


@HEADS.register_module()
class NNFormerDecoder(Decoder):
    """The decoder half of nnFormer (arXiv 2109.03201): the upsampled tokens attend to the skip, then to themselves.

    Lists go finest level first, as everywhere here. The defaults belong to the defaults of :class:`NNFormerEncoder`.

    Args:
        num_classes: K, background included.
        in_channels: Of the features, finest first; comes from the backbone.
        strides: Of the features; comes from the backbone. The first is the kernel of the projections to logits.
        levels: How many logits levels to answer with, for deep supervision; only these get a projection, because a
            parameter that no loss reaches stops distributed training.
        depths: Blocks of each level but the coarsest; the first attends to the skip.
        num_heads: Attention heads of these levels. None: one per 32 channels. The published network for brain tumours
            has twice as many by a slip, (6, 12, 24).
        windows: Attention window of these levels in tokens, one number or one per axis.
        drop_path_rate: Stochastic depth of the last block of the finest level; deeper ones get less, the first none.
        shift_mask: See :class:`NNFormerEncoder`.
        published_position_index: See :class:`NNFormerEncoder`.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: Lists of different lengths, strides that do not grow by 1 or 2 per axis, too many levels, or heads
            that do not divide the channels.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: Sequence[int],
        strides: Sequence[int | Sequence[int]],
        levels: int = 1,
        depths: Sequence[int] = (2, 2, 2),
        num_heads: Sequence[int] | None = None,
        windows: Sequence[int | Sequence[int]] = (4, 4, 8),
        drop_path_rate: float = 0.2,
        shift_mask: bool = True,
        published_position_index: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.channels = in_channels[0]
        widths = tuple(in_channels)
        heads = heads_of(widths[:-1], HEAD_CHANNELS) if num_heads is None else tuple(num_heads)
        _check(widths, strides, levels, depths=depths, heads=heads, windows=windows)
        steps = _steps([triple(stride) for stride in strides])
        rates = np.linspace(0, drop_path_rate, sum(depths)).tolist()  # coarsest level first
        self.levels = nn.ModuleList(  # finest first
            _Level(
                widths[level + 1],
                widths[level],
                step=steps[level],
                num_heads=heads[level],
                window=triple(windows[level]),
                drop_paths=rates[sum(depths[level + 1 :]) : sum(depths[level:])],
                shift_mask=shift_mask,
                published_position_index=published_position_index,
            )
            for level in range(len(depths))
        )
        patch = triple(strides[0])
        self.outs = nn.ModuleList(
            nn.ConvTranspose3d(widths[level], num_classes, kernel_size=patch, stride=patch) for level in range(levels)
        )

    def forward(self, features: tuple[Tensor, ...]) -> Decoded:
        """Features, finest first, to logits and the finest features; see :class:`Decoder`."""
        current = features[-1]
        logits: list[Tensor] = []
        for level in range(len(self.levels) - 1, -1, -1):
            current = self.levels[level](current, features[level])
            if level < len(self.outs):
                logits.insert(0, self.outs[level](current))
        return Decoded(tuple(logits), current)


class _Level(nn.Module):
    """Upsample to the grid of the skip, ask the skip, then attend among themselves."""

    def __init__(
        self,
        coarse_channels: int,
        channels: int,
        *,
        step: Size3,
        num_heads: int,
        window: Size3,
        drop_paths: Sequence[float],
        shift_mask: bool,
        published_position_index: bool,
    ) -> None:
        super().__init__()
        quirks = dict(shift_mask=shift_mask, published_position_index=published_position_index)
        self.norm = VolumeLayerNorm(coarse_channels)
        self.up = nn.ConvTranspose3d(coarse_channels, channels, kernel_size=step, stride=step)
        self.cross = CrossWindowBlock(channels, num_heads, window=window, drop_path=drop_paths[0], **quirks)
        self.blocks = nn.ModuleList(
            SelfWindowBlock(channels, num_heads, window=window, shifted=index % 2 == 1, drop_path=rate, **quirks)
            for index, rate in enumerate(drop_paths[1:], start=1)
        )

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        """(N, 2C, ...) and (N, C, x, y, z) to (N, C, x, y, z)."""
        # output_size: a grid that lost its odd last token on the way down gets it back, holding the bias alone
        upsampled = self.up(self.norm(coarse), output_size=list(skip.shape[2:]))
        tokens = self.cross(upsampled.movedim(1, 4), skip.movedim(1, 4))
        for block in self.blocks:
            tokens = block(tokens)
        return tokens.movedim(4, 1)


def _steps(strides: Sequence[Size3]) -> list[Size3]:
    """Factors between neighbouring strides, finest first."""
    steps = []
    for fine, coarse in pairwise(strides):
        x, y, z = (above // below for below, above in zip(fine, coarse, strict=True))
        if any(factor not in (1, 2) for factor in (x, y, z)) or (x * fine[0], y * fine[1], z * fine[2]) != coarse:
            raise ValueError(
                f'NNFormerDecoder needs strides that stay or double from level to level, got {list(strides)}: use '
                'UNetDecoder'
            )
        steps.append((x, y, z))
    return steps


def _check(
    widths: Sequence[int],
    strides: Sequence,
    levels: int,
    *,
    depths: Sequence[int],
    heads: Sequence[int],
    windows: Sequence[int | Sequence[int]],
) -> None:
    count = len(widths) - 1
    if len(strides) != len(widths) or count < 1:
        raise ValueError(
            f'NNFormerDecoder needs two features or more, each with its stride; got channels {tuple(widths)} and '
            f'strides {tuple(strides)}'
        )
    if not len(depths) == len(heads) == len(windows) == count or min(depths) < 1:
        raise ValueError(
            f'NNFormerDecoder: {len(widths)} features need {count} depths (1 or more), num_heads and windows, got '
            f'depths {tuple(depths)}, num_heads {tuple(heads)} and windows {tuple(windows)}'
        )
    if not 1 <= levels <= count:
        raise ValueError(f'NNFormerDecoder: levels must lie in 1..{count}, got {levels}')

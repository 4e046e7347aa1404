"""PCT-Net: a pyramid of parallel convolution and attention between convolutional embedding and head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

from mmengine.model import BaseModule
from torch import Tensor, nn

from medctx3d.models.blocks.conv_trans_block import ConvTransBlock
from medctx3d.models.blocks.pre_activation import ConvPair, OutConv, PoolConv, UpConcat, same_conv
from medctx3d.models.blocks.slice_modes import LEVELS, MODES, check_crop, check_network
from medctx3d.registry import MODELS

Mode = Literal[0, 1, 2]


@MODELS.register_module()
class PCTNet(BaseModule):
    """PCT-Net (arXiv 2306.16925), written from the description; parameters have the names of the published files.

    For ``WholeNet``. The weights are laid out for (Z, Y, X) as published; volumes are turned on the way in and out, so
    a published tensor means here what it meant there. No weight depends on the crop. Docs, published deviations
    included: docs/explanation/networks/pct_net.md.

    Args:
        in_channels: C.
        num_classes: K, background included.
        channels: Of the five levels, finest first.
        mode: For isotropic voxels (0), slices about twice as far apart as pixels (1), or four times (2): so many of
            the first two halvings, and their convolutions, leave the slice axis Z alone.
        levels: How many logits levels to answer with, at strides 1, 2, 4 and 8 in the plane; only these get a
            projection.
        depths: Swin blocks of each level of the pyramid, finest first.
        num_heads: Attention heads, likewise.
        windows: Edge of a window in tokens, likewise.
        dropout: Of the five levels, finest first.
        drop_path_rate: Probability to drop a branch of a Swin block.
        published_position_index: Let relative positions share rows of the bias table as published.
        published_windows: Lay windows by the shortest axis, and attend to their padding, as published.
        published_layout: Hold all that published files hold: embeddings and heads of all modes, all projections and
            what no voxel passes through. What is not used is frozen.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: An unknown mode, lists of other lengths, too many levels, or heads that do not divide the channels.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        channels: Sequence[int] = (24, 48, 128, 256, 512),
        *,
        mode: Mode = 1,
        levels: int = 1,
        depths: Sequence[int] = (2, 2, 2),
        num_heads: Sequence[int] = (4, 8, 16),
        windows: Sequence[int] = (6, 6, 6),
        dropout: Sequence[float] = (0.0, 0.0, 0.2, 0.2, 0.2),
        drop_path_rate: float = 0.2,
        published_position_index: bool = False,
        published_windows: bool = False,
        published_layout: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_network('PCTNet', channels, mode, levels)
        _check_lists(dropout, depths=depths, num_heads=num_heads, windows=windows)
        quirks = dict(
            published_position_index=published_position_index,
            published_windows=published_windows,
            published_layout=published_layout,
        )
        self.mode, self.levels = mode, levels
        built = get_args(Mode) if published_layout else (mode,)
        projected = LEVELS if published_layout else levels
        embeddings = {str(one): _Embedding(in_channels, channels, one, dropout) for one in built}
        heads = {str(one): _Head(channels, one, num_classes, projected, dropout) for one in built}
        attention = list(zip(channels[2:], num_heads, depths, windows, dropout[2:], strict=True))
        self.embeddings = nn.ModuleDict(embeddings)
        self.pyramid_ct = _Pyramid(channels[2:], attention, num_classes, projected, drop_path=drop_path_rate, **quirks)
        self.pred_heads = nn.ModuleDict(heads)
        projections = [*heads[str(mode)].projections(), *self.pyramid_ct.projections()]
        idle = [part for name, part in (*embeddings.items(), *heads.items()) if name != str(mode)]
        for module in (*idle, *projections[levels:]):
            module.requires_grad_(False)

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """(N, C, X, Y, Z) to ``levels`` logits, finest first; logits[0] has the size of the input.

        Raises:
            ValueError: A side of the crop is no multiple of the coarsest stride.
        """
        check_crop('PCTNet', tuple(inputs.shape[2:]), self.mode, deepest=2)
        fine, half, quarter = self.embeddings[str(self.mode)](inputs.transpose(2, 4))
        decoded = self.pyramid_ct(quarter)
        logits = [*self.pred_heads[str(self.mode)](fine, half, decoded[0], self.levels)]
        logits += self.pyramid_ct.project(decoded, self.levels - len(logits))
        return tuple(level.transpose(2, 4).contiguous() for level in logits)


class _Embedding(nn.Module):
    """From voxels to the first level of the pyramid, a quarter of the size in the plane."""

    def __init__(self, in_channels: int, channels: Sequence[int], mode: int, dropout: Sequence[float]) -> None:
        super().__init__()
        first, second = MODES[mode]
        self.proj = same_conv(in_channels, channels[0], flat=first)
        self.conv0 = ConvPair(channels[0], flat=first, dropout=dropout[0])
        self.conv1 = ConvPair(channels[1], flat=second, dropout=dropout[1])
        self.down1 = PoolConv(channels[0], channels[1], flat_pool=first, flat_conv=second)
        self.down2 = PoolConv(channels[1], channels[2], flat_pool=second, flat_conv=False)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.conv0(self.proj(inputs))
        half = self.conv1(self.down1(fine))
        return fine, half, self.down2(half)


class _Pyramid(nn.Module):
    """Encoder and decoder of three levels."""

    def __init__(
        self,
        channels: Sequence[int],
        attention: Sequence[tuple[int, int, int, int, float]],
        num_classes: int,
        projected: int,
        *,
        drop_path: float,
        **quirks: bool,
    ) -> None:
        super().__init__()
        steps = dict(flat_conv=False)
        self.down3 = PoolConv(channels[0], channels[1], flat_pool=False, **steps)
        self.down4 = PoolConv(channels[1], channels[2], flat_pool=False, **steps)
        self.up3 = UpConcat(channels[0], channels[1], flat_up=False, **steps)
        self.up4 = UpConcat(channels[1], channels[2], flat_up=False, **steps)

        def block(level: int) -> ConvTransBlock:
            width, heads, depth, window, dropout = attention[level]
            return ConvTransBlock(
                width, heads, depth=depth, window=window, dropout=dropout, drop_path=drop_path, **quirks
            )

        self.convtrans_e2, self.convtrans_e3, self.convtrans_e4 = block(0), block(1), block(2)
        self.convtrans_d2, self.convtrans_d3 = block(0), block(1)
        if projected > 2:
            self.out_conv2 = OutConv(channels[0], num_classes)
        if projected > 3:
            self.out_conv3 = OutConv(channels[1], num_classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The decoder's two levels, finest first."""
        first = self.convtrans_e2(features)
        second = self.convtrans_e3(self.down3(first))
        third = self.convtrans_e4(self.down4(second))
        coarse = self.convtrans_d3(self.up4(second, third))
        return self.convtrans_d2(self.up3(first, coarse)), coarse

    def project(self, decoded: tuple[Tensor, Tensor], count: int) -> list[Tensor]:
        """The logits of the ``count`` finest levels."""
        return [out(level) for out, level in zip(self.projections()[:count], decoded, strict=False)]

    def projections(self) -> list[nn.Module]:
        return [getattr(self, name) for name in ('out_conv2', 'out_conv3') if hasattr(self, name)]


class _Head(nn.Module):
    """From the pyramid's finest level back to voxels."""

    def __init__(
        self, channels: Sequence[int], mode: int, num_classes: int, projected: int, dropout: Sequence[float]
    ) -> None:
        super().__init__()
        first, second = MODES[mode]
        self.up1 = UpConcat(channels[0], channels[1], flat_up=first, flat_conv=first)
        self.up2 = UpConcat(channels[1], channels[2], flat_up=second, flat_conv=second)
        self.conv0 = ConvPair(channels[0], flat=first, dropout=dropout[0])
        self.conv1 = ConvPair(channels[1], flat=second, dropout=dropout[1])
        self.out_conv0 = OutConv(channels[0], num_classes)
        if projected > 1:
            self.out_conv1 = OutConv(channels[1], num_classes)

    def forward(self, fine: Tensor, half: Tensor, quarter: Tensor, levels: int) -> list[Tensor]:
        coarse = self.conv1(self.up2(half, quarter))
        logits = [self.out_conv0(self.conv0(self.up1(fine, coarse)))]
        return logits if levels == 1 else [*logits, self.out_conv1(coarse)]

    def projections(self) -> list[nn.Module]:
        return [getattr(self, name) for name in ('out_conv0', 'out_conv1') if hasattr(self, name)]


def _check_lists(dropout: Sequence[float], **lists: Any) -> None:
    if len(dropout) != 5:
        raise ValueError(f'PCTNet: dropout must be one probability per level, 5, got {tuple(dropout)}')
    for name, values in lists.items():
        if len(values) != 3 or min(values) < 1:
            raise ValueError(
                f'PCTNet: {name} must be three positive numbers, one per level of the pyramid, got {tuple(values)}'
            )

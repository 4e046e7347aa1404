"""Sizes of grids and lists of levels."""

from __future__ import annotations

from collections.abc import Sequence

from medctx3d.typing import Size3


def triple(size: int | Sequence[int]) -> Size3:
    """A number as the same along (X, Y, Z), three numbers as they are.

    Raises:
        ValueError: Neither one number nor three.
    """
    if isinstance(size, int):
        return size, size, size
    if len(size) != 3:
        raise ValueError(f'a size or stride must be one number or one per axis (X, Y, Z), got {tuple(size)}')
    x, y, z = size
    return x, y, z


def heads_of(channels: Sequence[int], head_channels: int) -> tuple[int, ...]:
    """Attention heads of each level when all heads have ``head_channels`` channels.

    Raises:
        ValueError: ``head_channels`` does not divide the channels of a level.
    """
    if any(width % head_channels for width in channels):
        raise ValueError(
            f'num_heads=None means heads of {head_channels} channels, which do not divide {tuple(channels)}: give '
            'num_heads, one number per level'
        )
    return tuple(width // head_channels for width in channels)


def token_grids(img_size: Sequence[int], strides: Sequence[Size3]) -> tuple[Size3, ...]:
    """Grid of each level at one crop.

    Args:
        img_size: Crop (X, Y, Z) in voxels.
        strides: Of each level, finest first.

    Raises:
        ValueError: A side is no multiple of the coarsest stride.
    """
    if any(side % step for side, step in zip(img_size, strides[-1], strict=True)):
        raise ValueError(f'img_size must be multiples of the coarsest stride {strides[-1]}, got {tuple(img_size)}')
    grids = []
    for stride in strides:
        x, y, z = (side // step for side, step in zip(img_size, stride, strict=True))
        grids.append((x, y, z))
    return tuple(grids)

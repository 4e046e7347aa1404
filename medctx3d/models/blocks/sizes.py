"""One number per axis, or one for all three."""

from __future__ import annotations

from collections.abc import Sequence

from medctx3d.typing import Size3


def triple(size: int | Sequence[int]) -> Size3:
    """A number as the same along (X, Y, Z), three numbers as they are."""
    if isinstance(size, int):
        return size, size, size
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

"""Windows over a grid of tokens: how they lie, how tokens go into them and come back."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from medctx3d.typing import Size3

_PADDING = 8  # above every number that three wrapped axes can give


class Windows(NamedTuple):
    """Equal windows that cover a grid of tokens, the grid being padded at its far ends where they do not divide it.

    Attributes:
        grid: Tokens along (X, Y, Z).
        size: Tokens of a window along (X, Y, Z), T in all.
        shift: By how many tokens the windows begin later than the grid; the grid is rolled for it, so the last window
            of a shifted axis holds tokens of both ends.
    """

    grid: Size3
    size: Size3
    shift: Size3

    @property
    def counts(self) -> Size3:
        """Windows along (X, Y, Z)."""
        x, y, z = (-(-side // size) for side, size in zip(self.grid, self.size, strict=True))
        return x, y, z

    @property
    def joins_strangers(self) -> bool:
        """Whether some window holds tokens that are no neighbours, or padding."""
        return any(self.shift) or any(side % size for side, size in zip(self.grid, self.size, strict=True))

    def cut(self, tokens: Tensor) -> Tensor:
        """(N, X, Y, Z, C) to (N * windows, T, C); padding is 0."""
        missing = [count * size - side for count, size, side in zip(self.counts, self.size, self.grid, strict=True)]
        if any(missing):
            tokens = F.pad(tokens, (0, 0, 0, missing[2], 0, missing[1], 0, missing[0]))
        if any(self.shift):
            tokens = tokens.roll([-step for step in self.shift], dims=(1, 2, 3))
        return _split(tokens, self.counts, self.size)

    def join(self, windows: Tensor) -> Tensor:
        """(N * windows, T, C) to (N, X, Y, Z, C): the inverse of :meth:`cut`."""
        (gx, gy, gz), (wx, wy, wz) = self.counts, self.size
        tokens = windows.reshape(-1, gx, gy, gz, wx, wy, wz, windows.shape[-1])
        tokens = tokens.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(-1, gx * wx, gy * wy, gz * wz, windows.shape[-1])
        if any(self.shift):
            tokens = tokens.roll(self.shift, dims=(1, 2, 3))
        x, y, z = self.grid
        return tokens[:, :x, :y, :z]

    def neighbours(self, device: torch.device, *, see_padding: bool = False) -> Tensor:
        """(windows, T, T) bool: which tokens of a window belong to one piece of the grid.

        Tokens from opposite borders, brought together by the roll, do not; padding belongs to nothing but padding,
        or with ``see_padding`` to the border that it continues.
        """
        piece = torch.zeros((1, 1, 1), dtype=torch.long, device=device)
        padding = torch.zeros((1, 1, 1), dtype=torch.bool, device=device)
        for axis in range(3):
            length = self.counts[axis] * self.size[axis]
            position = torch.arange(length, device=device)
            shape = [length if other == axis else 1 for other in range(3)]
            wrapped = (position >= length - self.shift[axis]).view(shape)
            beyond = ((position + self.shift[axis]) % length >= self.grid[axis]).view(shape)
            piece, padding = piece + wrapped * 2**axis, padding | beyond
        pieces = piece if see_padding else torch.where(padding, _PADDING, piece)
        rows = _split(pieces[None, ..., None], self.counts, self.size)[..., 0]  # (windows, T)
        return rows[:, :, None] == rows[:, None, :]


def fit_windows(grid: Size3, size: Size3, *, shifted: bool) -> Windows:
    """Lay windows on a grid.

    An axis that is not longer than the window is taken whole and not shifted: along it attention is global. Other
    axes are shifted by half a window, rounded down.

    Args:
        grid: Tokens along (X, Y, Z).
        size: Tokens of a window where there are enough.
        shifted: Whether the windows begin half a window later.
    """
    x, y, z = (min(side, wanted) for side, wanted in zip(grid, size, strict=True))
    sx, sy, sz = (wanted // 2 if shifted and side > wanted else 0 for side, wanted in zip(grid, size, strict=True))
    return Windows(grid, (x, y, z), (sx, sy, sz))


def published_windows(grid: Size3, size: Size3, *, shifted: bool) -> Windows:
    """Lay windows as the published code of PCT-Net and nnFormer does: by the shortest axis.

    Where that axis is not longer than the window, the window becomes a cube of its length, and no axis is shifted.

    Args:
        grid: Tokens along the axes.
        size: Tokens of a window where there are enough, a cube.
        shifted: Whether the windows begin half a window later.
    """
    edge = min(*grid, *size)
    shift = edge // 2 if shifted and min(grid) > size[0] else 0
    return Windows(grid, (edge, edge, edge), (shift, shift, shift))


def _split(tokens: Tensor, counts: Size3, size: Size3) -> Tensor:
    """(N, X, Y, Z, C) to (N * windows, T, C), windows and their tokens in raster order."""
    (gx, gy, gz), (wx, wy, wz) = counts, size
    tokens = tokens.reshape(-1, gx, wx, gy, wy, gz, wz, tokens.shape[-1]).permute(0, 1, 3, 5, 2, 4, 6, 7)
    return tokens.reshape(-1, wx * wy * wz, tokens.shape[-1])

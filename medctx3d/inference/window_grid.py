"""Where the windows of a volume lie, and along which axis its scores are streamed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from medctx3d.typing import Size3


class WindowGrid(NamedTuple):
    """Where the windows of a volume lie, and along which axis its scores are streamed.

    Attributes:
        shape: Voxels (X, Y, Z) of the volume.
        window: Voxels of a window.
        starts: First voxel of the windows along each axis; below 0 where the volume is smaller than a window, which
            then reaches beyond it on both sides.
        axis: The axis along which layers of windows follow one another.
    """

    shape: Size3
    window: Size3
    starts: tuple[tuple[int, ...], ...]
    axis: int

    @property
    def depth(self) -> int:
        """Planes along ``axis`` that a layer of windows covers."""
        return min(self.window[self.axis], self.shape[self.axis])

    @property
    def windows(self) -> int:
        """Number of windows."""
        x, y, z = (len(starts) for starts in self.starts)
        return x * y * z

    @property
    def slab_shape(self) -> Size3:
        """Voxels that one layer covers: the volume's, but only ``depth`` planes along ``axis``."""
        x, y, z = (self.depth if axis == self.axis else size for axis, size in enumerate(self.shape))
        return x, y, z

    def layers(self) -> Iterator[tuple[list[Size3], int]]:
        """First voxels of each layer's windows in raster order, and the first plane that later layers change."""
        along = self.starts[self.axis]
        for start, stop in zip(along, (*along[1:], self.shape[self.axis]), strict=True):
            across = ((start,) if axis == self.axis else starts for axis, starts in enumerate(self.starts))
            yield [(x, y, z) for x, y, z in itertools.product(*across)], stop


def window_grid(shape: Sequence[int], window: Sequence[int], overlap: Sequence[float]) -> WindowGrid:
    """Lay windows over a volume where MONAI's sliding window has them.

    The streamed axis is the one whose layers hold the smallest part of the volume.

    Args:
        shape: Voxels (X, Y, Z) of the volume.
        window: Voxels of a window; a side below 1 takes the volume's.
        overlap: Part of a window's side that neighbours share, per axis.
    """
    x, y, z = (side if side > 0 else size for side, size in zip(window, shape, strict=True))
    sides = (x, y, z)
    nx, ny, nz = (int(size) for size in shape)
    sizes = (nx, ny, nz)
    starts = tuple(_starts(size, side, part) for size, side, part in zip(sizes, sides, overlap, strict=True))
    axis = min(range(3), key=lambda axis: min(sides[axis], sizes[axis]) / sizes[axis])
    return WindowGrid(sizes, sides, starts, axis)


def _starts(size: int, side: int, overlap: float) -> tuple[int, ...]:
    """Steps of a rounded-down part of the side; the last window ends with the volume."""
    if size <= side:
        return (-((side - size) // 2),)
    last = size - side
    return (*range(0, last, max(1, int(side * (1 - overlap)))), last)

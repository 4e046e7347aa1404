"""Crops of a window on a grid and at random, and how much they overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medctx3d.registry import MODELS
from medctx3d.typing import Size3
from medctx3d.utils.volume_header import VolumeError


class Crops(NamedTuple):
    """Crops of N windows.

    Attributes:
        drawn: (N * Q, C, x, y, z), Q crops at random places of every window.
        bases: (N * B, C, x, y, z), the cells of the grid, the last axis running fastest.
        overlap: (N, Q, B) share of a random crop that lies in each cell; sums to 1 over the cells.
    """

    drawn: Tensor
    bases: Tensor
    overlap: Tensor


def grid_overlap(starts: Tensor, grid: Size3, size: Size3) -> Tensor:
    """How much of a box lies in each cell of a grid that has cells of the box's size.

    Per axis the share is max(0, 1 - |start - cell start| / size); shares multiply over the axes. With one layer along
    an axis, along which nothing can then move, this is the share of the area in the other two.

    Args:
        starts: (..., 3) lowest corners, voxels.
        grid: Cells along each axis, beginning at 0.
        size: Voxels of a cell and of the box.

    Returns:
        (..., cells) float, the last axis of the grid running fastest.
    """
    shares = []
    for axis, (count, edge) in enumerate(zip(grid, size, strict=True)):
        cells = torch.arange(count, device=starts.device) * edge
        shares.append((1 - (starts[..., axis, None] - cells).abs() / edge).clamp_min(0))
    x, y, z = shares
    return (x[..., :, None, None] * y[..., None, :, None] * z[..., None, None, :]).flatten(-3)


@MODELS.register_module()
class PositionCrops(nn.Module):
    """Cut a window into the cells of a grid, and crops of a cell's size at random places (VoCo, arXiv 2402.17300).

    Places and geometric changes are drawn from torch's CPU generator, which the Runner seeds: the device is not waited
    for. The overlap belongs to the places; mirroring, turning and intensity do not change it.

    Args:
        grid: Cells (n_x, n_y, n_z).
        base_size: Voxels of a cell; the window is grid * base_size.
        out_size: Voxels of the crops that are answered, resized linearly; None: ``base_size``.
        num_drawn: Random crops per window.
        flip_prob: Each crop, cells included, is mirrored along each axis with this probability.
        rotate_prob: Each is turned by 90, 180 or 270 degrees in the plane of the first two axes.
        shift_prob: Each gets another brightness.
        shift: By up to this much, in units of the normalised image.

    Raises:
        ValueError: A number is out of its range, or crops are to be turned that are not square.
    """

    def __init__(
        self,
        grid: Sequence[int],
        base_size: Sequence[int],
        *,
        out_size: Sequence[int] | None = None,
        num_drawn: int = 2,
        flip_prob: float = 0.2,
        rotate_prob: float = 0.2,
        shift_prob: float = 0.1,
        shift: float = 0.1,
    ) -> None:
        super().__init__()
        self.grid = _three('grid', grid)
        self.base_size = _three('base_size', base_size)
        self.out_size = self.base_size if out_size is None else _three('out_size', out_size)
        if math.prod(self.grid) < 2 or num_drawn < 1:
            raise ValueError(f'PositionCrops: needs two cells and one crop or more, got {self.grid} and {num_drawn}')
        for name, value in (('flip_prob', flip_prob), ('rotate_prob', rotate_prob), ('shift_prob', shift_prob)):
            if not 0 <= value <= 1:
                raise ValueError(f'PositionCrops: {name} must lie in 0..1, got {value}')
        if rotate_prob and self.out_size[0] != self.out_size[1]:
            raise ValueError(
                f'PositionCrops: turning needs crops that are square in the first two axes, got {self.out_size}: set '
                'rotate_prob=0 or choose another size'
            )
        self.num_drawn = num_drawn
        self.flip_prob = flip_prob
        self.rotate_prob = rotate_prob
        self.shift_prob = shift_prob
        self.shift = shift

    @property
    def window(self) -> Size3:
        """Voxels of the windows that are cut."""
        x, y, z = (count * edge for count, edge in zip(self.grid, self.base_size, strict=True))
        return x, y, z

    def forward(self, windows: Tensor) -> Crops:
        """Cut N windows (N, C, *window).

        Raises:
            VolumeError: Windows of another size; the message has the grid that would fit.
        """
        self._check(tuple(windows.shape[2:]))
        count = len(windows)
        reach = torch.tensor([extent - edge for extent, edge in zip(self.window, self.base_size, strict=True)])
        starts = (torch.rand(count, self.num_drawn, 3) * (reach + 1)).long()  # 0 to reach, both included
        overlap = grid_overlap(starts, self.grid, self.base_size).to(windows.device, non_blocking=True)
        corners = torch.cartesian_prod(*(torch.arange(n) for n in self.grid)) * torch.tensor(self.base_size)
        drawn = [
            self._cut(window, at) for window, places in zip(windows, starts.tolist(), strict=True) for at in places
        ]
        bases = [self._cut(window, at) for window in windows for at in corners.tolist()]
        return Crops(self._finish(drawn), self._finish(bases), overlap)

    def _cut(self, window: Tensor, start: Sequence[int]) -> Tensor:
        (x, y, z), (a, b, c) = start, self.base_size
        return window[:, x : x + a, y : y + b, z : z + c]

    def _finish(self, crops: Sequence[Tensor]) -> Tensor:
        """Resize, mirror, turn and shift each crop by its own draw."""
        batch = torch.stack(list(crops))
        if self.out_size != self.base_size:
            batch = F.interpolate(batch, size=self.out_size, mode='trilinear', align_corners=False)
        flips = (torch.rand(len(batch), 3) < self.flip_prob).tolist()
        turns = (torch.randint(1, 4, (len(batch),)) * (torch.rand(len(batch)) < self.rotate_prob)).tolist()
        changed = []
        for crop, coins, turn in zip(batch, flips, turns, strict=True):
            axes = [axis + 1 for axis, coin in enumerate(coins) if coin]
            crop = crop.flip(axes) if axes else crop
            changed.append(torch.rot90(crop, turn, (1, 2)) if turn else crop)
        amount = torch.empty(len(batch)).uniform_(-self.shift, self.shift) * (torch.rand(len(batch)) < self.shift_prob)
        return torch.stack(changed) + amount.to(batch, non_blocking=True).view(-1, 1, 1, 1, 1)

    def _check(self, shape: tuple[int, ...]) -> None:
        if shape == self.window:
            return
        fits = tuple(n // edge for n, edge in zip(shape, self.base_size, strict=True))
        if min(fits) and math.prod(fits) > 1:
            wanted = f'grid={fits} with windows of {tuple(n * e for n, e in zip(fits, self.base_size, strict=True))}'
        else:
            wanted = f'base_size={tuple(max(n // count, 1) for n, count in zip(shape, self.grid, strict=True))}'
        raise VolumeError(
            f'PositionCrops: a grid of {self.grid} cells of {self.base_size} voxels needs windows of {self.window}, '
            f"got {shape}: crop or resize to that in the data set's pipeline; {wanted} would fit what came"
        )


def _three(name: str, values: Sequence[int]) -> Size3:
    if len(values) != 3 or min(values) < 1:
        raise ValueError(f'PositionCrops: {name} must be three positive numbers, got {values}')
    x, y, z = (int(value) for value in values)
    return x, y, z

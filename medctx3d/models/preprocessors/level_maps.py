"""Which voxel gets which fusion level: the published samplings of Volume Fusion.

All numbers are drawn from torch's CPU generator, so a seed gives the same maps on every device and nothing waits for
one; voxels are written on the device.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from medctx3d.models.blocks.sizes import triple
from medctx3d.typing import Size3


class LevelSampling(abc.ABC):
    """Draw level maps. Keeps no state."""

    @abc.abstractmethod
    def draw(self, levels: Tensor, num_levels: int) -> None:
        """Write a level from 0 to ``num_levels`` into every voxel of ``levels`` (X, Y, Z), which holds zeros."""

    @abc.abstractmethod
    def check_size(self, size: Size3) -> None:
        """Raise ValueError where crops of that size leave no room."""


class BoxSampling(LevelSampling):
    """Boxes drawn one after another, later ones over earlier ones.

    Every box lies inside the crop, everywhere with the same probability, which the sources leave open.

    Args:
        count: Fewest and most boxes.
        smallest: Fewest voxels of an edge, one number or one per axis (X, Y, Z).
        largest: Longest edge as a part of the crop's: 0.625 is the paper's 80, 80 and 40 voxels of 128, 128 and 64,
            and nnssl's 100 of 160.
        erase: Whether a box may also have level 0.

    Raises:
        ValueError: An argument is outside its range.
    """

    def __init__(
        self,
        count: Sequence[int] = (10, 40),
        *,
        smallest: int | Sequence[int] = 8,
        largest: float = 0.625,
        erase: bool = False,
    ) -> None:
        self.count, self.smallest = _span('count', count), triple(smallest)
        self.largest, self.erase = largest, erase
        if min(self.smallest) < 1 or not 0 < largest <= 1:
            raise ValueError(
                f'smallest must be 1 voxel or more and largest a part of the crop, above 0 to 1; got {smallest} and '
                f'{largest}'
            )

    def draw(self, levels: Tensor, num_levels: int) -> None:
        """See :class:`LevelSampling`."""
        size = _shape(levels)
        self.check_size(size)
        for _ in range(_integer(*self.count)):
            place = []
            for side, shortest in zip(size, self.smallest, strict=True):
                edge = _integer(shortest, math.floor(self.largest * side))
                start = _integer(0, side - edge)
                place.append(slice(start, start + edge))
            levels[tuple(place)] = _integer(0 if self.erase else 1, num_levels)

    def check_size(self, size: Size3) -> None:
        """See :class:`LevelSampling`."""
        fits = tuple(math.ceil(shortest / self.largest) for shortest in self.smallest)
        if any(side < least for side, least in zip(size, fits, strict=True)):
            raise ValueError(
                f'boxes from {self.smallest} voxels to {self.largest:g} of the crop need a crop of at least {fits}, '
                f'got {size}: lower smallest, as in sampling=dict(name=..., smallest=4), or take larger crops'
            )


class GridSampling(LevelSampling):
    """A regular grid of cells of one size per map, placed at random in what the cells leave over.

    Args:
        cell: Fewest and most voxels of a cell's edge; each edge is drawn by itself, and is at most the crop's.
        share: Part of the cells with a level of 1 or more, rounded down; which, and which level, is drawn.

    Raises:
        ValueError: An argument is outside its range.
    """

    def __init__(self, cell: Sequence[int] = (8, 32), *, share: float = 0.7) -> None:
        self.cell, self.share = _span('cell', cell), share
        if not 0 < share <= 1:
            raise ValueError(f'share must be a part of the cells, above 0 to 1, got {share}')

    def draw(self, levels: Tensor, num_levels: int) -> None:
        """See :class:`LevelSampling`."""
        size = _shape(levels)
        self.check_size(size)
        edges = [_integer(self.cell[0], min(self.cell[1], side)) for side in size]
        counts = [side // edge for side, edge in zip(size, edges, strict=True)]
        starts = [_integer(0, side % edge) for side, edge in zip(size, edges, strict=True)]
        cells = math.prod(counts)
        drawn = torch.randint(1, num_levels + 1, (cells,), dtype=levels.dtype)
        drawn[torch.randperm(cells)[int(self.share * cells) :]] = 0
        grid = _upload(drawn.view(counts), levels.device)
        for axis, edge in enumerate(edges):
            grid = grid.repeat_interleave(edge, dim=axis)
        place = tuple(slice(start, start + side) for start, side in zip(starts, grid.shape, strict=True))
        levels[place] = grid

    def check_size(self, size: Size3) -> None:
        """See :class:`LevelSampling`."""
        if min(size) < self.cell[0]:
            raise ValueError(
                f'cells of {self.cell[0]} voxels or more need a crop of at least as many along each axis, got {size}: '
                "lower the first number of sampling=dict(name='pymic_grid', cell=(4, 16)), or take larger crops"
            )


SAMPLINGS: dict[str, Any] = {
    'paper_boxes': partial(BoxSampling, count=(10, 40)),
    'pymic_grid': GridSampling,
    'nnssl_boxes': partial(BoxSampling, count=(10, 39), erase=True),
}


def build_sampling(sampling: str | dict[str, Any]) -> LevelSampling:
    """A published sampling by its name, or with other numbers, such as ``dict(name='paper_boxes', smallest=4)``.

    Raises:
        ValueError: No sampling has that name, or an argument is outside its range.
        TypeError: The sampling takes no such argument.
    """
    arguments = dict(name=sampling) if isinstance(sampling, str) else dict(sampling)
    name = arguments.pop('name', None)
    if name not in SAMPLINGS:
        raise ValueError(f'sampling must be one of {", ".join(map(repr, SAMPLINGS))}, got {name!r}')
    built: LevelSampling = SAMPLINGS[name](**arguments)
    return built


def draw_levels(sampling: LevelSampling, num_levels: int, *, count: int, size: Size3, device: torch.device) -> Tensor:
    """``count`` level maps (N, 1, X, Y, Z) uint8, from 0 to ``num_levels``."""
    levels = torch.zeros(count, 1, *size, dtype=torch.uint8, device=device)
    for volume in levels:
        sampling.draw(volume[0], num_levels)
    return levels


def _upload(numbers: Tensor, device: torch.device) -> Tensor:
    """To the device without waiting for it."""
    return numbers.pin_memory().to(device, non_blocking=True) if device.type == 'cuda' else numbers.to(device)


def _integer(low: int, high: int) -> int:
    """Uniform, both ends included."""
    return int(torch.randint(low, high + 1, ()))


def _shape(levels: Tensor) -> Size3:
    x, y, z = levels.shape
    return x, y, z


def _span(name: str, span: Sequence[int]) -> tuple[int, int]:
    if len(span) != 2 or not 1 <= span[0] <= span[1]:
        raise ValueError(f'{name} must be the fewest and the most, both 1 or more, got {tuple(span)}')
    return int(span[0]), int(span[1])

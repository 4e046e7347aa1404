"""Random views of volumes, made on the device, with their geometry kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medctx3d.registry import MODELS
from medctx3d.typing import Size3
from medctx3d.utils.volume_header import VolumeError


class Placement(NamedTuple):
    """Where each view lies in its volume, so that maps of the same grid can follow.

    Attributes:
        starts: Lowest corner (voxels) of every view.
        sides: Voxels of the volume that every view covers, along each axis.
        flips: Axes (0, 1, 2 for X, Y, Z) along which each view is mirrored.
        size: Voxels of every view.
    """

    starts: list[Size3]
    sides: list[Size3]
    flips: list[tuple[int, ...]]
    size: Size3

    def cut(self, volumes: Tensor, *, labels: bool = False) -> Tensor:
        """Cut the views.

        Args:
            volumes: (N, C, X, Y, Z).
            labels: Ids, resized by nearest neighbour; else intensities, resized linearly.

        Returns:
            (N, C, *size), in the type of ``volumes``.
        """
        views = []
        for volume, start, side, flips in zip(volumes, self.starts, self.sides, self.flips, strict=True):
            (x, y, z), (a, b, c) = start, side
            view = volume[:, x : x + a, y : y + b, z : z + c]
            if side != self.size:
                view = _resized(view, self.size, labels=labels)
            views.append(view.flip([axis + 1 for axis in flips]) if flips else view)
        return torch.stack(views)


@MODELS.register_module()
class RandomViews(nn.Module):
    """Draw places for views: position, size and mirroring, uniformly at random.

    Places are drawn from torch's CPU generator, which the Runner seeds: the device is not waited for.

    Args:
        size: Voxels (X, Y, Z) of a view.
        zoom: Range of the voxels that a view covers, relative to ``size``; 1 alone resizes nothing.
        per_axis: Draw the zoom for each axis by itself; else it is equal along all.
        flip_axes: Axes that are mirrored, each half of the time. Leave out 0 (left and right) where sides matter.

    Raises:
        ValueError: A size below 1, a range that is empty or not positive, or an axis other than 0, 1, 2.
    """

    def __init__(
        self,
        size: Sequence[int],
        *,
        zoom: tuple[float, float] = (1.0, 1.0),
        per_axis: bool = False,
        flip_axes: Sequence[int] = (0, 1, 2),
    ) -> None:
        super().__init__()
        if len(size) != 3 or min(size) < 1:
            raise ValueError(f'RandomViews: size must be three positive numbers of voxels, got {size}')
        if not 0 < zoom[0] <= zoom[1]:
            raise ValueError(f'RandomViews: zoom must be (lowest, highest) with 0 < lowest <= highest, got {zoom}')
        if set(flip_axes) - {0, 1, 2}:
            raise ValueError(f'RandomViews: flip_axes must be among 0, 1, 2, got {tuple(flip_axes)}')
        self.size: Size3 = (int(size[0]), int(size[1]), int(size[2]))
        self.zoom, self.per_axis = zoom, per_axis
        self.flip_axes = tuple(flip_axes)

    def forward(self, count: int, shape: Sequence[int]) -> Placement:
        """Draw a place in each of ``count`` volumes of ``shape`` (X, Y, Z) voxels.

        Raises:
            VolumeError: A volume is smaller than the smallest view; the message has the size that would fit.
        """
        if any(round(self.zoom[0] * edge) > n for edge, n in zip(self.size, shape, strict=True)):
            fits = tuple(max(min(edge, int(n / self.zoom[0])), 1) for edge, n in zip(self.size, shape, strict=True))
            raise VolumeError(
                f'RandomViews: views of {self.size} voxels (times {self.zoom[0]:g} at least) do not fit into crops of '
                f"{tuple(shape)}: choose a larger crop in the data set's pipeline, or a smaller view; size={fits} "
                'would fit what came'
            )
        drawn = torch.empty(count, 3 if self.per_axis else 1).uniform_(*self.zoom)
        zooms = drawn.expand(count, 3).tolist()
        places = torch.rand(count, 3).tolist()
        coins = (torch.rand(count, 3) < 0.5).tolist()
        sides = [self._side(zoom, shape) for zoom in zooms]
        starts = [_start(place, side, shape) for place, side in zip(places, sides, strict=True)]
        flips = [tuple(axis for axis in self.flip_axes if coin[axis]) for coin in coins]
        return Placement(starts, sides, flips, self.size)

    def _side(self, zooms: Sequence[float], shape: Sequence[int]) -> Size3:
        a, b, c = (min(max(round(z * edge), 1), n) for z, edge, n in zip(zooms, self.size, shape, strict=True))
        return a, b, c


def _start(place: Sequence[float], side: Size3, shape: Sequence[int]) -> Size3:
    x, y, z = (int(share * (n - edge + 1)) for share, edge, n in zip(place, side, shape, strict=True))
    return x, y, z


def _resized(view: Tensor, size: Size3, *, labels: bool) -> Tensor:
    if not labels:
        return F.interpolate(view[None], size=size, mode='trilinear', align_corners=False)[0]
    x, y, z = (
        ((torch.arange(n, device=view.device) + 0.5) * (edge / n)).long()
        for n, edge in zip(size, view.shape[1:], strict=True)
    )  # indices keep every id exact; interpolation would pass through floats
    return view[:, x[:, None, None], y[None, :, None], z[None, None, :]]

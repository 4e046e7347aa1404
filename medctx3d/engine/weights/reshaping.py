"""Tensors of one shape made to serve where another is expected; each function refuses with None what it is not for."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from medctx3d.typing import Size3

Shape = tuple[int, ...]


def reverse_axes(weight: Tensor) -> Tensor:
    """A kernel (O, I, z, y, x) as (O, I, x, y, z); everything else as it is."""
    return weight.permute(0, 1, 4, 3, 2) if weight.ndim == 5 else weight


def inflate_channels(weight: Tensor, shape: Shape) -> Tensor | None:
    """Weights of a layer that sees the image, for another number of image channels.

    Every new channel gets the sum over the old ones divided by the number of new ones, so that the response to equal
    channels stays what it was: for one old channel this is its repetition divided by their number.

    Args:
        weight: (O, I, ...), or (O, P * I) with the channel running fastest.
        shape: That is wanted.
    """
    if weight.ndim > 2 and _differ_at(weight.shape, shape) == [1]:
        return (weight.sum(1, keepdim=True) / shape[1]).expand(shape).clone()
    return None


def inflate_patch(weight: Tensor, shape: Shape, voxels: int) -> Tensor | None:
    """:func:`inflate_channels` for a linear patch embedding (O, voxels * I)."""
    if weight.ndim != 2 or len(shape) != 2 or weight.shape[0] != shape[0]:
        return None
    if weight.shape[1] % voxels or shape[1] % voxels or weight.shape[1] == shape[1]:
        return None
    channels = shape[1] // voxels
    total = weight.reshape(len(weight), voxels, -1).sum(2, keepdim=True)
    return (total / channels).expand(-1, -1, channels).reshape(shape)


def embedding_as(weight: Tensor, shape: Shape) -> Tensor | None:
    """A patch embedding as convolution (O, I, p, p, p) or as linear layer (O, p * p * p * I), whichever is wanted.

    MONAI's linear layer takes the voxels of a patch in C order, channels running fastest.
    """
    if weight.ndim == 5 and len(shape) == 2:
        linear = weight.permute(0, 2, 3, 4, 1).reshape(len(weight), -1)
        return linear if tuple(linear.shape) == shape else None
    if weight.ndim == 2 and len(shape) == 5 and weight.numel() == _product(shape):
        out, channels, *patch = shape
        return weight.reshape(out, *patch, channels).permute(0, 4, 1, 2, 3)
    return None


def without_ones(weight: Tensor, shape: Shape) -> Tensor | None:
    """The same values where only axes of length 1 differ."""
    if [side for side in weight.shape if side != 1] == [side for side in shape if side != 1]:
        return weight.reshape(shape)
    return None


def resize_table(table: Tensor, shape: Shape, grid: Size3 | None = None) -> Tensor | None:
    """A table of positions on another grid, trilinearly.

    Args:
        table: Absolute positions (1, T, F), or relative ones (T, heads); T must be a cube, because a file does not say
            what grid it is.
        shape: That is wanted.
        grid: Its grid (x, y, z); None: a cube.
    """
    absolute = table.ndim == 3
    rows = table[0] if absolute else table
    old = _cube(len(rows))
    wanted = shape[1] if absolute else shape[0]
    new = grid if grid is not None and _product(grid) == wanted else _cube(wanted)
    if rows.ndim != 2 or old is None or new is None or rows.shape[1] != shape[-1]:
        return None
    volume = rows.T.reshape(1, rows.shape[1], *old).float()
    resized = F.interpolate(volume, size=new, mode='trilinear', align_corners=not absolute)
    return resized.flatten(2)[0].T.reshape(shape)


def differ_in_classes(found: Shape, wanted: Shape) -> bool:
    """Whether only the number of outputs differs."""
    return _differ_at(found, wanted) == [0]


def _differ_at(found: Shape, wanted: Shape) -> list[int]:
    """Axes whose lengths differ; of shapes with another number of axes, all."""
    if len(found) != len(wanted):
        return list(range(max(len(found), len(wanted))))
    return [axis for axis, (one, other) in enumerate(zip(found, wanted, strict=True)) if one != other]


def _cube(count: int) -> Size3 | None:
    side = round(count ** (1 / 3))
    return (side, side, side) if side**3 == count else None


def _product(sides: Shape) -> int:
    product = 1
    for side in sides:
        product *= side
    return product

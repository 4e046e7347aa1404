"""The voxels of a grid that MONAI transforms have chosen, fetched some planes at a time."""

from __future__ import annotations

import numpy as np
import torch
from monai.data import MetaTensor
from torch import Tensor

from medctx3d.utils.geometry import grid_map

# Decimals of a voxel index that are kept: what is beyond is rounding of the affine's inverse.
_DECIMALS = 9
# Planes fetched together: neighbours along the slowest axis of a file are far apart in memory.
_PLANES = 16


def fetch_grid(image: MetaTensor) -> MetaTensor:
    """Carry out the pending spatial transforms of an image by linear interpolation, some planes at a time.

    Beyond the outermost voxels the image goes on as its border.

    Args:
        image: (C, X, Y, Z) of any number type, axes of the wanted grid being parallel to its own; with nothing pending
            only the type changes.

    Returns:
        (C, X1, Y1, Z1) float32 with the affine of the wanted grid; ``image`` itself where there is nothing to do.
    """
    if not image.pending_operations:
        return image if image.dtype == torch.float32 else _like(image, image.as_tensor().float(), image.affine)
    wanted = np.asarray(image.peek_pending_affine(), dtype=float)
    shape = tuple(int(size) for size in image.peek_pending_shape())
    stored = image.as_tensor()
    grid = grid_map(np.asarray(image.affine, dtype=float), wanted, shape, decimals=_DECIMALS)
    assert grid is not None, 'Orientationd and Spacingd keep axes parallel'
    found = torch.empty((len(stored), *shape))
    slow = max(range(3), key=lambda axis: stored.stride(axis + 1))
    into = grid.axes[slow]
    order = [0, *(int(axis) + 1 for axis in np.argsort(grid.axes))]
    for start in range(0, shape[into], _PLANES):
        block = _along(stored, slow, grid.positions[slow][start : start + _PLANES])
        for axis in range(3):
            if axis != slow:
                block = _along(block, axis, grid.positions[axis])
        found.narrow(into + 1, start, block.shape[slow + 1]).copy_(block.permute(order))
    return _like(image, found, torch.as_tensor(wanted))


def _like(image: MetaTensor, voxels: Tensor, affine: Tensor) -> MetaTensor:
    return MetaTensor(voxels, affine=affine, meta={key: value for key, value in image.meta.items() if key != 'affine'})


def _along(voxels: Tensor, axis: int, positions: np.ndarray) -> Tensor:
    """Float32 voxels at some positions along one axis, neighbours mixed linearly."""
    position = positions.clip(0, voxels.shape[axis + 1] - 1)
    lower = np.floor(position).astype(np.int64)
    share = (position - lower).astype(np.float32)
    one = voxels.index_select(axis + 1, torch.from_numpy(lower)).float()
    if not share.any():
        return one
    upper = np.minimum(lower + 1, voxels.shape[axis + 1] - 1)
    two = voxels.index_select(axis + 1, torch.from_numpy(upper)).float()
    return one.lerp_(two, torch.from_numpy(share).view([-1 if dim == axis + 1 else 1 for dim in range(4)]))

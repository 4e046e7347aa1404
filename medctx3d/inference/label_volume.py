"""Class ids of a volume, filled in plane by plane."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from medctx3d.typing import Planes

_MOST_IN_BYTE = 256


class LabelVolume:
    """Class ids of a volume, filled in plane by plane; background where nothing is written.

    Args:
        shape: Voxels (X, Y, Z).
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self.data = torch.zeros(tuple(shape), dtype=torch.uint8)

    def write(self, planes: Planes) -> None:
        """Take the class with the largest score in each voxel of some planes."""
        ids = best_class(planes.scores)
        self.fit(ids)
        self.data.narrow(planes.axis, planes.start, ids.shape[planes.axis]).copy_(ids)

    def fit(self, ids: Tensor) -> None:
        """Take the type of ``ids`` if it is the larger one."""
        if ids.dtype != self.data.dtype:
            self.data = self.data.to(ids.dtype)


def best_class(scores: Tensor) -> Tensor:
    """The first class with the largest score, as ``argmax`` over the first axis.

    Torch's own walks across memory on a CPU and takes several times as long.

    Args:
        scores: (K, ...).

    Returns:
        (...) uint8, or int16 for more than 256 classes.
    """
    dtype = torch.uint8 if len(scores) <= _MOST_IN_BYTE else torch.int16
    if scores.device.type != 'cpu':
        return scores.argmax(dim=0).to(dtype)
    best = scores[0].clone()
    ids = torch.zeros(best.shape, dtype=dtype)
    for label in range(1, len(scores)):
        ids.masked_fill_(scores[label] > best, label)
        torch.maximum(best, scores[label], out=best)
    return ids

"""The weighted sum of window scores, only as deep as one layer of windows."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from medctx3d.inference.window_grid import WindowGrid
from medctx3d.typing import Planes, Size3

# Bytes of finished scores that are handed on at a time; what is done with them needs a few times as much.
CHUNK_BYTES = 2**25
# Logit of background where no window was shown to the network; all others are 0.
AIR_LOGIT = 20.0


class Slab:
    """The weighted sum of window scores, only as deep as one layer of windows.

    Planes are kept in a ring: plane p lies at p modulo the depth, so nothing is moved when a layer is done.

    Args:
        grid: Where the windows lie.
        classes: Number K of classes.
        importance: (x, y, z) weight of each voxel of a window.
        device: Where the sum is kept.
        dtype: Of the sum.
    """

    def __init__(
        self, grid: WindowGrid, classes: int, importance: Tensor, *, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.grid = grid
        self.importance = importance.to(device, dtype)
        self.scores = torch.zeros((classes, *grid.slab_shape), device=device, dtype=dtype)
        self.weights = torch.zeros(grid.slab_shape, device=device, dtype=dtype)
        self.done = 0  # planes that were handed on

    def add(self, start: Size3, answer: Tensor) -> None:
        """Add the scores of a window.

        Args:
            start: Its first voxel.
            answer: (K, x, y, z).
        """
        answer = answer.to(self.scores)
        for here, inside in self._parts(start):
            weight = self.importance[inside]
            self.scores[(slice(None), *here)].addcmul_(answer[(slice(None), *inside)], weight)
            self.weights[here] += weight

    def finish(self, stop: int) -> Iterator[Planes]:
        """Hand on the planes before ``stop``, in order, some at a time.

        The scores that are handed on lie in the slab: they change when the next are asked for.
        """
        axis, depth = self.grid.axis, self.grid.depth
        plane_bytes = self.scores.numel() // depth * self.scores.element_size()
        most = max(1, CHUNK_BYTES // plane_bytes)
        while self.done < stop:
            first = self.done % depth
            length = min(most, stop - self.done, depth - first)
            scores, weights = self.scores.narrow(axis + 1, first, length), self.weights.narrow(axis, first, length)
            _divide(scores, weights)
            yield Planes(axis, self.done, scores)
            scores.zero_()
            weights.zero_()
            self.done += length

    def _parts(self, start: Size3) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
        """Where the parts of a window lie in the slab, and in the window; two where the ring begins anew."""
        here, inside = [], []
        for first, side, size in zip(start, self.grid.window, self.grid.shape, strict=True):
            low, high = max(first, 0), min(first + side, size)
            here.append(slice(low, high))
            inside.append(slice(low - first, high - first))
        axis, depth = self.grid.axis, self.grid.depth
        low, length = here[axis].start % depth, here[axis].stop - here[axis].start
        before, offset = min(length, depth - low), inside[axis].start
        for ring, window in ((low, 0), (0, before)):
            count = before if window == 0 else length - before
            if count:
                here[axis] = slice(ring, ring + count)
                inside[axis] = slice(offset + window, offset + window + count)
                yield tuple(here), tuple(inside)


def _divide(scores: Tensor, weights: Tensor) -> None:
    """Turn sums into means; voxels that no window reached become background."""
    unseen = weights == 0
    if unseen.any():
        scores[0].masked_fill_(unseen, AIR_LOGIT)
        weights.masked_fill_(unseen, 1)
    scores.div_(weights)

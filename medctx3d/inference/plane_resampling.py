"""Bring streamed scores to another grid, and take the best class there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from medctx3d.inference.label_volume import LabelVolume, best_class
from medctx3d.inference.slab import AIR_LOGIT
from medctx3d.typing import Planes, PlaneSink
from medctx3d.utils.geometry import GridMap


class _Neighbours(NamedTuple):
    """The two working planes around each wanted plane of an axis that lies inside, and the second one's share."""

    inside: slice
    lower: Tensor
    upper: Tensor
    share: Tensor


class PlaneResampler:
    """Bring streamed scores to another grid, and take the best class there.

    Scores are interpolated linearly between the eight working voxels around each wanted voxel. Where all eight have
    the same best class, so has every mixture of them; scores are then only computed if somebody wants to see them.

    Args:
        grid: How the wanted grid lies in the working grid.
        shape: Voxels (X, Y, Z) of the working grid.
        labels: Filled with class ids on the wanted grid; outside the working grid they stay background.
        sinks: Get all scores on the wanted grid.
    """

    def __init__(
        self, grid: GridMap, shape: Sequence[int], labels: LabelVolume, sinks: Sequence[PlaneSink] = ()
    ) -> None:
        self.grid = grid
        self.shape = tuple(shape)
        self.labels = labels
        self.sinks = tuple(sinks)
        self.device = torch.device('cpu')
        self._tables = [self._neighbours(axis) for axis in range(3)]
        self._last: tuple[Tensor, Tensor] | None = None  # scores and classes of the plane before

    def push(self, planes: Planes) -> None:
        """Take the next planes of the working grid, which come in order along one axis."""
        axis, count = planes.axis, planes.scores.shape[planes.axis + 1]
        if planes.scores.device != self.device:
            self.device = planes.scores.device
            self._tables = [self._neighbours(axis) for axis in range(3)]
        if planes.start == 0:
            self._write_outside(axis, len(planes.scores))
        for offset in range(count):
            scores = planes.scores.select(axis + 1, offset).float()
            current = (scores, best_class(scores))
            position = planes.start + offset
            if self._last is not None:
                self._between(axis, position - 1, self._last, current)
            if position == self.shape[axis] - 1:
                self._between(axis, position, current, current)
            # The scores that were handed over are overwritten once the next are asked for.
            self._last = (scores.clone(), current[1]) if offset == count - 1 else current

    def _between(self, axis: int, lower: int, one: tuple[Tensor, Tensor], two: tuple[Tensor, Tensor]) -> None:
        """Fill the wanted planes that lie on the working plane ``lower`` or between it and the next."""
        table = self._tables[axis]
        targets = torch.nonzero(table.lower == lower)[:, 0].tolist()
        if not targets:
            return
        shares = [float(table.share[target]) for target in targets]
        if not any(shares):
            two = one
        rows, columns = (self._tables[other] for other in range(3) if other != axis)
        low = _extreme(torch.minimum(one[1], two[1]), rows, columns, torch.minimum)
        high = _extreme(torch.maximum(one[1], two[1]), rows, columns, torch.maximum)
        u, v = torch.nonzero(low != high, as_tuple=True)
        doubtful = [_at(scores, rows, columns, u, v) for scores, _ in (one, two)] if len(u) else []
        whole = [_in_plane(scores, rows, columns) for scores, _ in (one, two)] if self.sinks else []
        for target, share in zip(targets, shares, strict=True):
            ids = low
            if doubtful:
                ids = low.clone()
                ids[u, v] = best_class(torch.lerp(doubtful[0], doubtful[1], share))
            self._write(axis, table.inside.start + target, ids)
            if whole:
                self._hand_on(axis, table.inside.start + target, torch.lerp(whole[0], whole[1], share))

    def _write(self, axis: int, target: int, ids: Tensor) -> None:
        self.labels.fit(ids)
        plane = self.labels.data.select(self.grid.axes[axis], target)
        rows, columns, turned = self._place(axis)
        plane = plane.T if turned else plane
        plane[rows, columns] = ids.to(plane.device)

    def _hand_on(self, axis: int, target: int, scores: Tensor | None, classes: int = 0) -> None:
        """Give the sinks a wanted plane, background around what is inside; ``scores`` None: all of it."""
        rows, columns, turned = self._place(axis)
        sizes = [size for other, size in enumerate(self.grid.shape) if other != self.grid.axes[axis]]
        plane = torch.zeros((classes if scores is None else len(scores), *sizes), device=self.device)
        plane[0] = AIR_LOGIT
        if scores is not None:
            (plane.transpose(1, 2) if turned else plane)[:, rows, columns] = scores
        for sink in self.sinks:
            sink.write(Planes(self.grid.axes[axis], target, plane.unsqueeze(self.grid.axes[axis] + 1)))

    def _write_outside(self, axis: int, classes: int) -> None:
        inside = self._tables[axis].inside
        for target in range(self.grid.shape[self.grid.axes[axis]] if self.sinks else 0):
            if not inside.start <= target < inside.stop:
                self._hand_on(axis, target, None, classes)

    def _place(self, axis: int) -> tuple[slice, slice, bool]:
        """Wanted rows and columns that the other two working axes fill, and whether these have changed places."""
        one, two = (other for other in range(3) if other != axis)
        return self._tables[one].inside, self._tables[two].inside, self.grid.axes[one] > self.grid.axes[two]

    def _neighbours(self, axis: int) -> _Neighbours:
        size = self.shape[axis]
        inside = self.grid.inside(axis, size)
        position = self.grid.positions[axis][inside].clip(0, size - 1)
        lower = np.floor(position).astype(np.int64)
        share = (position - lower).astype(np.float32)
        upper = np.where(share > 0, lower + 1, lower)
        return _Neighbours(inside, *(torch.from_numpy(table).to(self.device) for table in (lower, upper, share)))


def _extreme(ids: Tensor, rows: _Neighbours, columns: _Neighbours, of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Smallest or largest class among the four working voxels around each wanted voxel of a plane."""
    ids = of(ids[rows.lower], ids[rows.upper])
    return of(ids[:, columns.lower], ids[:, columns.upper])


def _at(scores: Tensor, rows: _Neighbours, columns: _Neighbours, u: Tensor, v: Tensor) -> Tensor:
    """Scores (K, M) of a plane (K, U, V) at M wanted voxels."""
    across = [
        torch.lerp(scores[:, row, columns.lower[v]], scores[:, row, columns.upper[v]], columns.share[v])
        for row in (rows.lower[u], rows.upper[u])
    ]
    return torch.lerp(across[0], across[1], rows.share[u])


def _in_plane(scores: Tensor, rows: _Neighbours, columns: _Neighbours) -> Tensor:
    """Scores (K, U, V) of a plane at all wanted voxels."""
    scores = torch.lerp(scores[:, rows.lower], scores[:, rows.upper], rows.share[:, None])
    return torch.lerp(scores[:, :, columns.lower], scores[:, :, columns.upper], columns.share)

"""The grid on which tissues are painted one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from .anatomy import Tissue
from .fields import FAR, Coordinates, smooth_noise

Box = tuple[slice, slice, slice]


class Axis(NamedTuple):
    """One axis of the canvas.

    Args:
        field: Voxel centres on which fields are computed, mm.
        paint: Voxel centres of the tissue map, mm; a whole multiple of `field` in number.
    """

    field: np.ndarray
    paint: np.ndarray

    @property
    def factor(self) -> int:
        """Painted voxels per field voxel."""
        return len(self.paint) // len(self.field)


class Canvas:
    """Tissue map painted by implicit fields.

    Smooth fields are cheap on a coarse grid, edges need a fine one: a field is computed on the coarse grid and
    thresholded there, and its linear interpolation is thresholded on the fine grid.

    Args:
        axes: The three axes, x, y, z.
        rng: Source of the smooth warp that makes every surface a little irregular.
        warp: Standard deviation of the warp, mm.
    """

    def __init__(self, axes: Sequence[Axis], rng: np.random.Generator, *, warp: float = 2.6) -> None:
        self.axes = tuple(axes)
        field_axes = [axis.field for axis in self.axes]
        open_axes = np.meshgrid(*field_axes, indexing='ij', sparse=True)
        self.coordinates: Coordinates = tuple(
            (line + np.float32(warp) * smooth_noise(rng, field_axes, 30.0)).astype(np.float32) for line in open_axes
        )
        self.coarse = np.zeros([len(axis) for axis in field_axes], np.uint8)
        self.factors = tuple(axis.factor for axis in self.axes)
        refined = max(self.factors) > 1
        self.fine = np.zeros([len(axis.paint) for axis in self.axes], np.uint8) if refined else self.coarse
        steps = [float(axis[1] - axis[0]) for axis in field_axes]
        self.steps = tuple(steps)
        self.voxel_ml = float(np.prod(steps)) / 1000

    @property
    def whole(self) -> Box:
        """The box of the whole canvas."""
        return (slice(None), slice(None), slice(None))

    def box(self, low: Iterable[float], high: Iterable[float]) -> Box:
        """Slices of the field grid that cover the given corners (mm), never empty."""
        slices = []
        for axis, first, last in zip(self.axes, low, high, strict=True):
            start = int(np.clip(np.searchsorted(axis.field, first) - 1, 0, len(axis.field) - 2))
            stop = int(np.clip(np.searchsorted(axis.field, last) + 1, start + 2, len(axis.field)))
            slices.append(slice(start, stop))
        return (slices[0], slices[1], slices[2])

    def at(self, box: Box) -> Coordinates:
        """Warped coordinates (x, y, z) of a box, mm."""
        x, y, z = (line[box] for line in self.coordinates)
        return x, y, z

    def calm(self, share: float) -> Coordinates:
        """Coordinates (x, y, z) of the whole canvas with only a share of the warp, mm."""
        lines = np.meshgrid(*(axis.field for axis in self.axes), indexing='ij', sparse=True)
        x, y, z = (line + np.float32(share) * (c - line) for line, c in zip(lines, self.coordinates, strict=True))
        return x, y, z

    def free(self, box: Box, over: Iterable[int]) -> np.ndarray:
        """Boolean array of a box: the voxels whose tissue is one of `over`."""
        return lookup(over)[self.coarse[box]]

    def paint(
        self, tissue: int, field: np.ndarray, box: Box, *, over: Iterable[int], level: float = 0.0
    ) -> np.ndarray:
        """Set a tissue where `field > level`, in place of the tissues named in `over` only.

        Args:
            tissue: Tissue id.
            field: Field on the box, any shape that broadcasts to it.
            box: Slices of the field grid.
            over: Tissue ids that may be replaced.
            level: Threshold.

        Returns:
            Boolean mask of the box on the field grid: what was painted there.
        """
        allowed = lookup(over)
        target = self.coarse[box]
        mask = (field > level) & allowed[target]
        if self.fine is not self.coarse:
            fine_box = tuple(
                slice(s.indices(n)[0] * f, s.indices(n)[1] * f)
                for s, n, f in zip(box, self.coarse.shape, self.factors, strict=True)
            )
            fine = self.fine[fine_box]
            refined = refine(np.broadcast_to(field, target.shape), self.factors)
            np.copyto(fine, np.uint8(tissue), where=(refined > level) & allowed[fine])
        np.copyto(target, np.uint8(tissue), where=mask)
        return mask

    def grow(
        self, tissue: int, field: np.ndarray, box: Box, volume: float, *, over: Iterable[int] = (Tissue.CAVITY,)
    ) -> np.ndarray:
        """Paint one connected piece of exactly the given volume, where the field is largest.

        Args:
            tissue: Tissue id.
            field: Field on the box; changed in place outside the largest piece.
            box: Slices of the field grid.
            volume: Wanted volume, mL.
            over: Tissue ids that may be replaced.

        Returns:
            Boolean mask of the box on the field grid.
        """
        over = tuple(over)
        free = self.free(box, over)
        count = round(volume / self.voxel_ml)
        level = 0.0
        for _ in range(3):  # leaving loose pieces out costs volume; a second round makes up for it
            values = field[free]
            count = min(max(count, 1), values.size - 1)
            level = float(np.partition(values, values.size - count)[values.size - count])
            mask = (field >= level) & free
            pieces, number = ndimage.label(mask)
            if number <= 1:
                break
            sizes = np.bincount(pieces.ravel())[1:]
            loose = mask & (pieces != 1 + int(sizes.argmax()))
            field[loose] = FAR
        return self.paint(tissue, field, box, over=over, level=np.nextafter(np.float32(level), np.float32(FAR)))

    def nearest(self, tissue: int, point: np.ndarray, box: Box) -> np.ndarray:
        """Voxel centre (mm) of a tissue in a box nearest to a point (mm); the point itself if there is none."""
        found = np.argwhere(self.coarse[box] == tissue)
        if not len(found):
            return point
        lines = [axis.field[part] for axis, part in zip(self.axes, box, strict=True)]
        places = np.stack([line[found[:, number]] for number, line in enumerate(lines)], axis=1)
        return places[np.square(places - point).sum(axis=1).argmin()].astype(float)

    def closeness(self, tissues: Iterable[int], box: Box, reach: float) -> np.ndarray:
        """How near a tissue is: about 0.5 at its surface, falling to 0 over `reach` mm."""
        mask = self.free(box, tissues).astype(np.float32)
        return ndimage.gaussian_filter(mask, [reach / step for step in self.steps], truncate=2.5)


def lookup(tissues: Iterable[int]) -> np.ndarray:
    """Boolean table over all tissue ids: True for those given."""
    table = np.zeros(256, bool)
    table[[int(tissue) for tissue in tissues]] = True
    return table


def refine(field: np.ndarray, factors: Sequence[int]) -> np.ndarray:
    """Linear interpolation of a field to `factors` times as many voxels, cell by cell."""
    for axis, factor in enumerate(factors):
        if factor == 1:
            continue
        size = field.shape[axis]
        position = (np.arange(size * factor) + 0.5) / factor - 0.5
        lower = np.clip(np.floor(position).astype(int), 0, size - 1)
        upper = np.minimum(lower + 1, size - 1)
        shape = [1, 1, 1]
        shape[axis] = -1
        share = np.clip(position - lower, 0, 1).astype(np.float32).reshape(shape)
        low = np.take(field, lower, axis)
        field = low + share * (np.take(field, upper, axis) - low)
    return field


def tube_field(canvas: Canvas, curve: np.ndarray, *, margin: float = 8.0, flat: float = 1.0) -> tuple[np.ndarray, Box]:
    """Distance field of a tube: radius minus distance to the centreline, in mm.

    Args:
        canvas: Where the tube lies.
        curve: Centreline samples (S, 4): x, y, z, radius in mm.
        margin: How far (mm) outside the surface the field is computed.
        flat: Ratio by which the front-to-back thickness is smaller than the width; 1 is round.

    Returns:
        Field on a box around the tube, and that box.
    """
    reach = curve[:, 3:].max() + margin
    whole = canvas.box(curve[:, :3].min(0) - reach, curve[:, :3].max(0) + reach)
    x, y, z = canvas.at(whole)
    field = np.full(x.shape, FAR, np.float32)
    for start, end in itertools.pairwise(curve):
        near = np.maximum(start[3], end[3]) + margin
        part = canvas.box(np.minimum(start, end)[:3] - near, np.maximum(start, end)[:3] + near)
        local = tuple(slice(p.start - w.start, p.stop - w.start) for p, w in zip(part, whole, strict=True))
        _capsule(field[local], (x[local], y[local], z[local]), start.astype(np.float32), end.astype(np.float32), flat)
    return field, whole


def _capsule(field: np.ndarray, at: Coordinates, start: np.ndarray, end: np.ndarray, flat: float) -> None:
    """Raise `field` in place to the capsule between two samples where the capsule is larger."""
    axis = end[:3] - start[:3]
    dx, dy, dz = at[0] - start[0], (at[1] - start[1]), at[2] - start[2]
    along = (dx * axis[0] + dy * axis[1] + dz * axis[2]) / max(float(axis @ axis), 1e-6)
    np.clip(along, 0, 1, out=along)
    dx -= along * axis[0]
    dy -= along * axis[1]
    dz -= along * axis[2]
    dy *= np.float32(flat)
    value = start[3] + along * (end[3] - start[3]) - np.sqrt(dx * dx + dy * dy + dz * dz)
    np.maximum(field, value, out=field)

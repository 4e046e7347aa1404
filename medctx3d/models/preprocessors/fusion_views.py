"""What happens to a crop before it is fused: another size, flips, another contrast.

Written for batches on their device. MONAI's ``RandZoom`` and ``AdjustContrast`` take one volume at a time, and the
latter reads the range of intensities back from the device.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from medctx3d.models.blocks.sizes import triple
from medctx3d.typing import Size3


class RandomResizedView:
    """A part of a crop, of random size and place, brought to one size, and flipped.

    Args:
        size: Voxels (X, Y, Z) of the view.
        scale: Smallest and largest extent of the part, in units of ``size``, drawn for each axis; it is cut to the crop.
        flip: Probability to flip, for each axis by itself. It knows no left or right, and needs to know none: levels
            have no side.

    Raises:
        ValueError: An argument is outside its range.
    """

    def __init__(self, size: Sequence[int], *, scale: Sequence[float] = (0.7, 1.5), flip: float = 0.5) -> None:
        self.size = triple(size)
        self.scale, self.flip = _span('scale', scale), _probability('flip', flip)
        if min(self.size) < 2 or self.scale[0] <= 0:
            raise ValueError(f'size must be 2 voxels or more per axis and scale positive, got {size} and {scale}')

    def __call__(self, inputs: Tensor, generators: Sequence[Generator]) -> Tensor:
        """(N, C, X, Y, Z) to (N, C, *size), interpolated linearly from corner to corner."""
        return torch.cat([self._one(inputs[i : i + 1], one) for i, one in enumerate(generators)])

    def _one(self, volume: Tensor, generator: Generator) -> Tensor:
        part, flipped = [slice(None), slice(None)], []
        for axis, (side, wanted) in enumerate(zip(volume.shape[2:], self.size, strict=True)):
            extent = max(2, min(int(wanted * _uniform(self.scale, generator)), side))
            start = int(torch.randint(0, side - extent + 1, (), generator=generator))
            part.append(slice(start, start + extent))
            if _uniform((0, 1), generator) < self.flip:
                flipped.append(axis + 2)
        view = F.interpolate(volume[tuple(part)], size=self.size, mode='trilinear', align_corners=True)
        return view.flip(flipped)

    def check_crop(self, crop: Size3, pairing: str) -> None:
        """Refuse crops that leave nothing to draw.

        Raises:
            ValueError: Two views of one such crop would be the same.
        """
        if pairing == 'same_volume' and self.scale[0] == self.scale[1] and crop == self.size and not self.flip:
            raise ValueError('two views of one crop would be the same: widen view.scale, or take larger crops')


class RandomContrast:
    """A curve through two random percentiles, a power, and inversion; intensities end in 0 to 1.

    Intensities up to the low percentile go to 0 to 0.1, those above the high one to 0.9 to 1, the rest linearly between.
    One curve and power per volume and channel group; inversion is drawn per pair, so that both views have it.

    Args:
        low: Percent between which the low percentile is drawn.
        high: Percent between which the high percentile is drawn.
        gamma: Between which the exponent is drawn.
        invert: Probability of 1 - x for both volumes of a pair.

    Raises:
        ValueError: An argument is outside its range.
    """

    def __init__(
        self,
        *,
        low: Sequence[float] = (0.1, 2.0),
        high: Sequence[float] = (98.0, 99.9),
        gamma: Sequence[float] = (0.7, 1.5),
        invert: float = 0.25,
    ) -> None:
        self.low, self.high, self.gamma = _span('low', low), _span('high', high), _span('gamma', gamma)
        self.invert = _probability('invert', invert)
        if not 0 <= self.low[0] <= self.low[1] < self.high[0] <= self.high[1] <= 100 or self.gamma[0] <= 0:
            raise ValueError(f'low and high must be percents, low below high, and gamma positive; got {low}, {high}')

    def __call__(self, pair: tuple[Tensor, Tensor], generators: Sequence[Generator]) -> tuple[Tensor, Tensor]:
        """Two of (N, C, X, Y, Z), which are fused with each other, to two of the same shape."""
        first, second = (
            torch.stack([self._one(volume, g) for volume, g in zip(part, generators, strict=True)]) for part in pair
        )
        inverted = [_uniform((0, 1), generator) < self.invert for generator in generators]
        for index in (index for index, yes in enumerate(inverted) if yes):
            first[index], second[index] = 1 - first[index], 1 - second[index]
        return first, second

    def _one(self, volume: Tensor, generator: Generator) -> Tensor:
        voxels = volume.flatten(1)
        low, high = (_uniform(span, generator) / 100 for span in (self.low, self.high))
        marks = [_percentile(voxels, part)[:, None, None, None] for part in (0, low, high, 1)]
        lowest, bottom, top, highest = marks
        curve = torch.where(
            volume < bottom,
            0.1 * _between(volume, lowest, bottom),
            torch.where(
                volume > top, 0.9 + 0.1 * _between(volume, top, highest), 0.1 + 0.8 * _between(volume, bottom, top)
            ),
        )
        return curve.pow(_uniform(self.gamma, generator))


def _percentile(voxels: Tensor, part: float) -> Tensor:
    """(C, V) to (C,): the voxel at that rank. torch.quantile takes no more than 16 million voxels."""
    rank = round(part * (voxels.shape[1] - 1)) + 1
    return voxels.kthvalue(rank, dim=1).values


def _between(volume: Tensor, low: Tensor, high: Tensor) -> Tensor:
    tiny = torch.finfo(volume.dtype).tiny
    return ((volume - low) / (high - low).clamp_min(tiny)).clamp(0, 1)


def _uniform(span: tuple[float, float], generator: Generator) -> float:
    low, high = span
    return low + (high - low) * float(torch.rand((), generator=generator))


def _span(name: str, span: Sequence[float]) -> tuple[float, float]:
    if len(span) != 2 or span[0] > span[1]:
        raise ValueError(f'{name} must be the lowest and the highest value, got {tuple(span)}')
    return float(span[0]), float(span[1])


def _probability(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f'{name} must be a probability from 0 to 1, got {value}')
    return value

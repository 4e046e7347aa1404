"""Random curves through the percentiles of a volume."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medctx3d.registry import MODELS

LOW_END, HIGH_END = 0.1, 0.9  # where the curve puts the two percentiles


@MODELS.register_module()
class PercentileCurve(nn.Module):
    """Bring intensities to 0..1 by a curve through two random percentiles, then raise them to a random power.

    From the lowest intensity to the low percentile it leads to 0..0.1, on to the high one to 0.1..0.9, and the rest
    to 0.9..1, linearly in between: the contrast of Volume Fusion in its current code (PyMIC). Drawn for every volume,
    from torch's CPU generator; percentiles are those of each channel.

    Args:
        low: Percent between which the low percentile is drawn.
        high: Percent between which the high percentile is drawn.
        gamma: Between which the exponent is drawn.

    Raises:
        ValueError: A range is empty, not in percent, or the two overlap.
    """

    def __init__(
        self,
        *,
        low: tuple[float, float] = (0.1, 2.0),
        high: tuple[float, float] = (98.0, 99.9),
        gamma: tuple[float, float] = (0.7, 1.5),
    ) -> None:
        super().__init__()
        if not 0 <= low[0] <= low[1] < high[0] <= high[1] <= 100:
            raise ValueError(f'PercentileCurve: low must lie below high, both in percent, got {low} and {high}')
        if not 0 < gamma[0] <= gamma[1]:
            raise ValueError(f'PercentileCurve: gamma must be (lowest, highest), both positive, got {gamma}')
        self.low, self.high, self.gamma = low, high, gamma

    @torch.no_grad()
    def forward(self, volumes: Tensor) -> Tensor:
        """Change (N, C, X, Y, Z), in a new tensor."""
        return torch.stack([self._one(volume) for volume in volumes])

    def _one(self, volume: Tensor) -> Tensor:
        low, high, gamma = (float(torch.empty(()).uniform_(*span)) for span in (self.low, self.high, self.gamma))
        lowest, bottom, top, highest = (_percentile(volume, percent) for percent in (0, low, high, 100))
        below = LOW_END * _between(volume, lowest, bottom)
        middle = LOW_END + (HIGH_END - LOW_END) * _between(volume, bottom, top)
        above = HIGH_END + (1 - HIGH_END) * _between(volume, top, highest)
        return torch.where(volume < bottom, below, torch.where(volume > top, above, middle)).pow(gamma)


def _percentile(volume: Tensor, percent: float) -> Tensor:
    """(C, 1, 1, 1), the voxel at that rank; torch.quantile takes no more than 16 million voxels."""
    voxels = volume.flatten(1)
    rank = round(percent / 100 * (voxels.shape[1] - 1)) + 1
    return voxels.kthvalue(rank, dim=1).values[:, None, None, None]


def _between(volume: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """0 at ``low``, 1 at ``high``; 0 everywhere if they are equal."""
    return ((volume - low) / (high - low).clamp_min(torch.finfo(volume.dtype).tiny)).clamp(0, 1)

"""Layer normalisation of feature volumes."""

from __future__ import annotations

from torch import Tensor, nn


class VolumeLayerNorm(nn.LayerNorm):
    """Normalise each voxel over its channels, with the channels where convolutions have them.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, X, Y, Z) to the same shape."""
        return super().forward(features.movedim(1, 4)).movedim(4, 1)

"""Random intensities, for a whole batch on its device."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medctx3d.registry import MODELS


@MODELS.register_module()
class IntensityJitter(nn.Module):
    """Change contrast, brightness, gamma and noise of every volume and channel by its own draw.

    In units of the volume's own range, so that it means the same for windowed CT and for normalised MR.

    Args:
        gamma: Range of the exponent on intensities scaled to 0..1, drawn evenly on a logarithmic scale.
        contrast: Factor on the distance from the mean is drawn from 1 - contrast to 1 + contrast.
        brightness: Shift is drawn from -brightness to brightness, as a share of the volume's range.
        noise: Standard deviation of Gaussian noise is drawn from 0 to this share of the range.

    Raises:
        ValueError: A range is empty or not positive, or an amount is negative.
    """

    def __init__(
        self,
        *,
        gamma: tuple[float, float] = (0.7, 1.5),
        contrast: float = 0.2,
        brightness: float = 0.1,
        noise: float = 0.05,
    ) -> None:
        super().__init__()
        if not 0 < gamma[0] <= gamma[1]:
            raise ValueError(f'IntensityJitter: gamma must be (lowest, highest), both positive, got {gamma}')
        if min(contrast, brightness, noise) < 0:
            raise ValueError(
                'IntensityJitter: contrast, brightness and noise must not be negative, got '
                f'{contrast}, {brightness} and {noise}'
            )
        self.gamma = gamma
        self.contrast = contrast
        self.brightness = brightness
        self.noise = noise

    @torch.no_grad()
    def forward(self, volumes: Tensor) -> Tensor:
        """Jitter (N, C, X, Y, Z), in a new tensor."""

        def between(lowest: float, highest: float) -> Tensor:
            share = torch.rand(*volumes.shape[:2], 1, 1, 1, device=volumes.device, dtype=volumes.dtype)
            return lowest + (highest - lowest) * share

        lowest = volumes.amin(dim=(2, 3, 4), keepdim=True)
        extent = (volumes.amax(dim=(2, 3, 4), keepdim=True) - lowest).clamp_min(torch.finfo(volumes.dtype).eps)
        scaled = (volumes - lowest) / extent
        exponents = torch.tensor(self.gamma).log().tolist()
        scaled = scaled.clamp(0, 1) ** between(*exponents).exp()
        mean = scaled.mean(dim=(2, 3, 4), keepdim=True)
        scaled = mean + (scaled - mean) * between(1 - self.contrast, 1 + self.contrast)
        scaled = scaled + between(-self.brightness, self.brightness)
        scaled = scaled + torch.randn_like(scaled) * between(0, self.noise)
        return scaled * extent + lowest

"""How regions are made, in units that do not depend on the voxels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Mode = Literal['2d', '3d']
LEVELS = 255  # intensities are brought to 0..LEVELS, the range that scale is relative to


@dataclass(frozen=True)
class RegionSettings:
    """Parameters of Felzenszwalb's algorithm on volumes.

    Attributes:
        mode: ``2d`` grows regions slice by slice across the axis closest to foot-head (scikit-image, eight neighbours
            in the plane), ``3d`` in the volume (six neighbours).
        window: Intensities brought to 0 and 255; what lies outside is clipped. None: the volume's 1st and 99th
            percentile inside the body.
        body_above: The body is the largest connected part above this intensity, its holes filled slice by slice;
            voxels outside belong to no region. None: everything is body.
        scale: k of the algorithm on the range 0..255, times mm^2 in 2D and mm^3 in 3D.
        sigma: Of the Gaussian that smooths first, in mm.
        min_size: Smallest region, in mm^2 or mm^3.
        distance_exponent: How much a larger distance between the voxels of an edge raises its weight
            (:func:`~medctx3d.datasets.regions.felzenszwalb_3d`); in 3D alone, where slices are thicker than pixels.

    Raises:
        ValueError: A value outside its range.
    """

    mode: Mode
    window: tuple[float, float] | None
    body_above: float | None
    scale: float
    sigma: float
    min_size: float
    distance_exponent: float = 0.5

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ValueError(f'mode must be one of {get_args(Mode)}, got {self.mode!r}')
        if self.window is not None and not self.window[0] < self.window[1]:
            raise ValueError(f'window must be two growing intensities, got {self.window}')
        for name in ('scale', 'sigma', 'min_size', 'distance_exponent'):
            if not getattr(self, name) >= 0:
                raise ValueError(f'{name} must not be negative, got {getattr(self, name)}')

    def as_json(self) -> dict[str, Any]:
        """Plain values, as they come back from a JSON file."""
        plain = asdict(self)
        return plain | dict(window=None if self.window is None else list(self.window))


# The window and the body of abdominal CT, in HU. min_size in 2D are the 400 pixels of 0.75 mm that are usual for BTCV.
CT: dict[str, Any] = dict(window=(-125.0, 275.0), body_above=-300.0)
MR: dict[str, Any] = dict(window=None, body_above=None)
GROWTH: dict[str, dict[str, float]] = {
    '2d': dict(scale=1.0, sigma=0.75, min_size=225.0),
    '3d': dict(scale=5.0, sigma=1.0, min_size=500.0),
}
PRESETS = dict(ct=CT, mr=MR)

"""The metrics that can be computed: what each means, its unit, and which way it is better."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Metric(NamedTuple):
    """One number of a class in a case.

    Attributes:
        heading: For tables.
        decimals: Shown there.
        best: ``high``, ``low``, or ``zero`` for a signed difference.
        kind: ``overlap`` (a fraction), ``distance`` (mm) or ``volume`` (mL).
        text: What it is, A being the truth and B the prediction.
    """

    heading: str
    decimals: int
    best: Literal['high', 'low', 'zero']
    kind: Literal['overlap', 'distance', 'volume']
    text: str


METRICS: dict[str, Metric] = {
    'dice': Metric('Dice', 4, 'high', 'overlap', '2 |A and B| / (|A| + |B|), voxels'),
    'iou': Metric('IoU', 4, 'high', 'overlap', '|A and B| / |A or B|, voxels'),
    'sensitivity': Metric('sensitivity', 4, 'high', 'overlap', '|A and B| / |A|, voxels'),
    'precision': Metric('precision', 4, 'high', 'overlap', '|A and B| / |B|, voxels'),
    'volume_difference_ml': Metric(
        'volume difference (mL)', 2, 'zero', 'volume', 'volume of B minus volume of A in mL: above 0 is too large'
    ),
    'hd95': Metric(
        'HD95 (mm)', 2, 'low', 'distance', '95th percentile of the distances between both surfaces in mm; see surface'
    ),
    'hd': Metric('HD (mm)', 2, 'low', 'distance', 'largest distance from either surface to the other in mm'),
    'asd': Metric(
        'ASD (mm)',
        2,
        'low',
        'distance',
        'half of the average distance from the surface of A to that of B plus the average back, in mm',
    ),
    'assd': Metric(
        'ASSD (mm)', 2, 'low', 'distance', 'average of the distances of both surfaces taken together, in mm'
    ),
    'nsd': Metric(
        'NSD', 4, 'high', 'overlap', 'share of both surfaces that lies within nsd_tolerance_mm of the other'
    ),
}
METRIC_NAMES = tuple(METRICS)
DEFAULT_METRICS = ('dice', 'iou', 'hd95', 'asd', 'nsd')
DISTANCES = tuple(name for name, metric in METRICS.items() if metric.kind == 'distance')
SURFACE_METRICS = (*DISTANCES, 'nsd')


def merit(metric: str, values: ArrayLike) -> np.ndarray:
    """Values turned so that higher is better: as they are, negated, or the negated absolute value.

    Args:
        metric: Key of ``METRICS``.
        values: Of any shape; NaN stays NaN.
    """
    array = np.asarray(values, dtype=float)
    if METRICS[metric].best == 'high':
        return array
    return -np.abs(array) if METRICS[metric].best == 'zero' else -array

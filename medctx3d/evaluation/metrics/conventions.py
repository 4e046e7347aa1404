"""What a class scores that the truth, the prediction or both lack, and how means are formed: by name.

A distance to nothing does not exist, nor does a share of nothing. Every benchmark fills the gap in its own way, and
the mean depends on it. A convention is data, so that a file of results can state it in full.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from medctx3d.evaluation.metrics.metric_table import METRICS
from medctx3d.registry import closest

Situation = Literal['absent_in_both', 'missed', 'invented']
Filling = float | Literal['not scored', 'diagonal', 'as counted']

NOT_SCORED: Filling = 'not scored'
DIAGONAL: Filling = 'diagonal'
AS_COUNTED: Filling = 'as counted'
FILLINGS = {
    'not scored': 'left out of every mean',
    'diagonal': 'length of the diagonal of the whole volume in mm',
    'as counted': 'the value itself, which needs no surface and no share',
}
BRATS_PENALTY_MM = round(math.hypot(240, 240, 155), 2)  # the diagonal of a BraTS volume, 1 mm voxels
MEANS: dict[str, str] = {
    'of_classes': (
        'Each class: mean over the cases in which it is scored. Then the mean over classes, those that no case '
        'scores left out.'
    ),
    'of_cases': (
        'Each case: mean over its classes that are scored. Then the mean over cases, those that score no class left '
        'out. A class: mean over the cases in which it is scored.'
    ),
}


class Convention(NamedTuple):
    """A named rule for absent classes and for means.

    Attributes:
        text: The rule in words, and whose it is.
        absent: Situation to metric to what it scores: a number, or a key of ``FILLINGS``.
        means: Key of ``MEANS``.
    """

    text: str
    absent: Mapping[Situation, Mapping[str, Filling]]
    means: str = 'of_classes'


def _fill(overlap: Filling, distance: Filling, volume: Filling, **others: Filling) -> dict[str, Filling]:
    """One situation: a value for each kind of metric, and for single metrics that differ from their kind."""
    kinds = {'overlap': overlap, 'distance': distance, 'volume': volume}
    return {name: others.get(name, kinds[metric.kind]) for name, metric in METRICS.items()}


_LEFT_OUT = _fill(NOT_SCORED, NOT_SCORED, NOT_SCORED)
_PERFECT = _fill(1.0, 0.0, 0.0)

CONVENTIONS: dict[str, Convention] = {
    'diagonal-penalty': Convention(
        'Absent in truth and prediction: not scored. Missed or invented: overlaps are 0 and distances are the '
        'diagonal of the volume, so that either always costs; a share of nothing (sensitivity without truth, '
        'precision without prediction) is not scored.',
        {
            'absent_in_both': _LEFT_OUT,
            'missed': _fill(0.0, DIAGONAL, AS_COUNTED, precision=NOT_SCORED),
            'invented': _fill(0.0, DIAGONAL, AS_COUNTED, sensitivity=NOT_SCORED),
        },
    ),
    'nan': Convention(
        'Absent in the truth: not scored, whatever was predicted. Missed: overlaps are 0, distances are not scored. '
        "MONAI's metrics with ignore_empty=True do so for Dice.",
        {
            'absent_in_both': _LEFT_OUT,
            'missed': _fill(0.0, NOT_SCORED, AS_COUNTED, precision=NOT_SCORED),
            'invented': _LEFT_OUT,
        },
    ),
    'synapse-zero': Convention(
        'Absent in truth and prediction: perfect. Missed or invented: overlaps are 0, but distances are 0 mm, which '
        'is the best there is. As nnFormer and UNETR++ score Synapse; their other metrics follow Dice and HD95.',
        {
            'absent_in_both': _PERFECT,
            'missed': _fill(0.0, 0.0, AS_COUNTED),
            'invented': _fill(0.0, 0.0, AS_COUNTED),
        },
    ),
    'brats-penalty': Convention(
        f'Absent in truth and prediction: perfect. Missed or invented: overlaps are 0, distances are '
        f'{BRATS_PENALTY_MM} mm, the diagonal of a BraTS volume. As in the BraTS challenges, for the regions WT, TC '
        'and ET; other metrics follow Dice and HD95.',
        {
            'absent_in_both': _PERFECT,
            'missed': _fill(0.0, BRATS_PENALTY_MM, AS_COUNTED),
            'invented': _fill(0.0, BRATS_PENALTY_MM, AS_COUNTED),
        },
    ),
    'msd': Convention(
        'Absent in truth and prediction: not scored. Missed or invented: overlaps are 0, distances are not scored. '
        'What the package surface-distance gives for Dice and NSD, the two metrics of the Medical Segmentation '
        'Decathlon.',
        {
            'absent_in_both': _LEFT_OUT,
            'missed': _fill(0.0, NOT_SCORED, AS_COUNTED, precision=NOT_SCORED),
            'invented': _fill(0.0, NOT_SCORED, AS_COUNTED, sensitivity=NOT_SCORED),
        },
    ),
}
DEFAULT_CONVENTION = 'diagonal-penalty'


def convention_of(name: str) -> Convention:
    """The convention of that name.

    Raises:
        ValueError: There is none; the message has the closest names.
    """
    if name not in CONVENTIONS:
        near = closest(str(name), list(CONVENTIONS), count=1)
        hint = f' Did you mean {near[0]!r}?' if near else ''
        raise ValueError(f'convention must be one of {", ".join(CONVENTIONS)}, got {name!r}.{hint}')
    return CONVENTIONS[name]


def fill_absent(
    convention: Convention, situation: Situation, metric: str, *, diagonal: float, counted: float
) -> float:
    """Score of a class that is absent somewhere.

    Args:
        convention: Whose rule.
        situation: What is absent.
        metric: Key of ``METRICS``.
        diagonal: Of the volume in mm.
        counted: The value that needs no rule, for metrics that have one.

    Returns:
        The score, NaN where it is left out.
    """
    filling = convention.absent[situation][metric]
    words = {'not scored': np.nan, 'diagonal': diagonal, 'as counted': counted}
    return words[filling] if isinstance(filling, str) else float(filling)

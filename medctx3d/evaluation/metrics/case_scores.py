"""Scores of one predicted label volume against its truth, class by class, distances in mm.

Distances run between surfaces, each surface element weighted by its area (package ``surface-distance``): HD95 is the
larger of the two 95th percentiles, ASD the mean of the two average distances, and NSD the share of both surfaces that
lies within a tolerance of the other. Where an organ touches the border of the volume, the border is its surface.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np
from scipy import ndimage

METRIC_NAMES = ('dice', 'iou', 'hd95', 'asd', 'nsd')
DISTANCES = ('hd95', 'asd')
ABSENT_RULES: dict[str, str] = {
    'missed_is_diagonal': (
        'Absent in truth and prediction: not scored, left out of every mean. Absent in one of them only: Dice, IoU '
        'and NSD are 0, HD95 and ASD are the diagonal of the volume in mm.'
    ),
    'nan': (
        'Absent in the truth: not scored. Absent in the prediction only: Dice, IoU and NSD are 0. HD95 and ASD are '
        'not scored where either is absent.'
    ),
}

Box = tuple[slice, ...]


class ScoreRules(NamedTuple):
    """How cases are scored; see :func:`check_rules`.

    Attributes:
        scores: Some of ``METRIC_NAMES``.
        nsd_tolerance_mm: Distance up to which two surfaces count as the same.
        absent: Key of ``ABSENT_RULES``.
    """

    scores: tuple[str, ...] = METRIC_NAMES
    nsd_tolerance_mm: float = 2.0
    absent: str = 'missed_is_diagonal'


def check_rules(rules: ScoreRules) -> None:
    """Refuse rules that cannot be followed, before the first case.

    Raises:
        ValueError: A metric or the rule for absent organs is unknown, or the tolerance is not positive.
        ImportError: Distances are wanted and the package ``surface-distance`` is not installed.
    """
    unknown = [name for name in rules.scores if name not in METRIC_NAMES]
    if unknown or not rules.scores:
        raise ValueError(f'scores must be some of {METRIC_NAMES}, got {tuple(rules.scores)}')
    if rules.absent not in ABSENT_RULES:
        raise ValueError(f'absent must be one of {tuple(ABSENT_RULES)}, got {rules.absent!r}')
    if not rules.nsd_tolerance_mm > 0:
        raise ValueError(f'nsd_tolerance_mm must be a distance above 0 mm, got {rules.nsd_tolerance_mm}')
    if _wants_surfaces(rules):
        _surface_distance()


def score_case(
    truth: np.ndarray,
    prediction: np.ndarray,
    *,
    spacing: Sequence[float],
    classes: Mapping[str, int],
    rules: ScoreRules | None = None,
) -> dict[str, dict[str, float]]:
    """Score every class of one case.

    Args:
        truth: (X, Y, Z) integers, class ids.
        prediction: (X, Y, Z) integers, class ids on the same grid.
        spacing: Voxel edge lengths in mm.
        classes: Name to class id, without the background.
        rules: What is computed and how; default :class:`ScoreRules`.

    Returns:
        Class name to metric name to value: fractions for Dice, IoU and NSD, mm for HD95 and ASD, NaN where the rule
        for absent organs leaves a value out.

    Raises:
        ValueError: The shapes differ or are not three-dimensional.
    """
    rules = rules or ScoreRules()
    if truth.shape != prediction.shape or truth.ndim != 3:
        raise ValueError(
            f'truth and prediction must share a shape (X, Y, Z), got {truth.shape} and {prediction.shape}'
        )
    spacing = tuple(float(edge) for edge in spacing)
    diagonal = float(np.linalg.norm(np.multiply(truth.shape, spacing)))
    truth_boxes, predicted_boxes = _boxes(truth), _boxes(prediction)
    scores = {}
    for name, label in classes.items():
        in_truth, in_prediction = label in truth_boxes, label in predicted_boxes
        if in_truth and in_prediction:
            box = _union(truth_boxes[label], predicted_boxes[label])
            scores[name] = _score_masks(truth[box] == label, prediction[box] == label, spacing, rules)
        else:
            scores[name] = _absent(rules, in_truth=in_truth, in_prediction=in_prediction, diagonal=diagonal)
    return scores


def _boxes(labels: np.ndarray) -> dict[int, Box]:
    """Smallest box around each class id that occurs."""
    if labels.dtype.kind not in 'iu':
        raise ValueError(f'class ids must be integers, got an array of {labels.dtype}')
    found = ndimage.find_objects(labels if labels.dtype.kind == 'u' else np.maximum(labels, 0))
    return {label: box for label, box in enumerate(found, start=1) if box is not None}


def _union(first: Box, second: Box) -> Box:
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second, strict=True))


def _score_masks(
    truth: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...], rules: ScoreRules
) -> dict[str, float]:
    """Scores of two masks (x, y, z), neither of them empty."""
    common = int(np.count_nonzero(truth & prediction))
    total = int(np.count_nonzero(truth)) + int(np.count_nonzero(prediction))
    values = {'dice': 2 * common / total, 'iou': common / (total - common)}
    if _wants_surfaces(rules):
        package = _surface_distance()
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', DeprecationWarning)  # it calls scipy by an old name
            surfaces = package.compute_surface_distances(truth, prediction, spacing)
        values['hd95'] = float(package.compute_robust_hausdorff(surfaces, 95))
        values['asd'] = float(np.mean(package.compute_average_surface_distance(surfaces)))
        values['nsd'] = float(package.compute_surface_dice_at_tolerance(surfaces, rules.nsd_tolerance_mm))
    return {name: values[name] for name in rules.scores}


def _absent(rules: ScoreRules, *, in_truth: bool, in_prediction: bool, diagonal: float) -> dict[str, float]:
    """Scores of a class that truth, prediction or both lack, after ``ABSENT_RULES``."""
    if rules.absent == 'missed_is_diagonal' and (in_truth or in_prediction):
        overlap, distance = 0.0, diagonal
    else:
        overlap, distance = (0.0 if in_truth else np.nan), np.nan
    return {name: distance if name in DISTANCES else overlap for name in rules.scores}


def _wants_surfaces(rules: ScoreRules) -> bool:
    return not {'hd95', 'asd', 'nsd'}.isdisjoint(rules.scores)


def _surface_distance() -> ModuleType:
    try:
        return importlib.import_module('surface_distance')
    except ImportError as error:
        raise ImportError(
            'HD95, ASD and NSD need the package surface-distance: pip install surface-distance, or set '
            "scores=('dice', 'iou')"
        ) from error

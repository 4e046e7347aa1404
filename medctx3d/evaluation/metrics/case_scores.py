"""Scores of one predicted label volume against its truth, class by class, distances in mm.

A class may be one id or several, which are then taken as one region. Work is done inside the box around the class in
truth and prediction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from medctx3d.evaluation.metrics.conventions import Situation, convention_of, fill_absent
from medctx3d.evaluation.metrics.score_rules import ScoreRules, check_tolerances
from medctx3d.evaluation.metrics.surfaces import surface_distances, surface_scores

Box = tuple[slice, ...]
Ids = int | tuple[int, ...]
_ML = 1000.0  # mm^3


def score_case(
    truth: np.ndarray,
    prediction: np.ndarray,
    *,
    spacing: Sequence[float],
    classes: Mapping[str, Ids],
    rules: ScoreRules | None = None,
) -> dict[str, dict[str, float]]:
    """Score every class and region of one case.

    Args:
        truth: (X, Y, Z) integers, class ids.
        prediction: (X, Y, Z) integers, class ids on the same grid.
        spacing: Voxel edge lengths in mm.
        classes: Name to class id, or to the ids that make a region; without the background.
        rules: What is computed and how; default :class:`ScoreRules`.

    Returns:
        Class name to metric name to value: fractions, mm for distances, mL for volumes; NaN where the convention
        leaves a value out.

    Raises:
        ValueError: The shapes differ or are not three-dimensional, values are no integers, or a tolerance is missing.
    """
    rules = rules or ScoreRules()
    if truth.shape != prediction.shape or truth.ndim != 3:
        raise ValueError(
            f'truth and prediction must share a shape (X, Y, Z), got {truth.shape} and {prediction.shape}'
        )
    check_tolerances(rules, classes)
    spacing = tuple(float(edge) for edge in spacing)
    diagonal = float(np.linalg.norm(np.multiply(truth.shape, spacing)))
    truth_boxes, predicted_boxes = _boxes(truth), _boxes(prediction)
    scores = {}
    for name, given in classes.items():
        ids = (given,) if isinstance(given, int) else tuple(given)
        boxes = [[found[label] for label in ids if label in found] for found in (truth_boxes, predicted_boxes)]
        if all(boxes):
            box = _union([*boxes[0], *boxes[1]])
            scores[name] = _score_masks(
                _mask(truth[box], ids), _mask(prediction[box], ids), spacing, rules, rules.tolerance_of(name)
            )
        else:
            scores[name] = _score_absent(
                truth, prediction, ids, boxes, spacing=spacing, rules=rules, diagonal=diagonal
            )
    return scores


def _boxes(labels: np.ndarray) -> dict[int, Box]:
    """Smallest box around each class id that occurs."""
    if labels.dtype.kind not in 'iu':
        raise ValueError(f'class ids must be integers, got an array of {labels.dtype}')
    found = ndimage.find_objects(labels if labels.dtype.kind == 'u' else np.maximum(labels, 0))
    return {label: box for label, box in enumerate(found, start=1) if box is not None}


def _union(boxes: Sequence[Box]) -> Box:
    return tuple(
        slice(min(box[axis].start for box in boxes), max(box[axis].stop for box in boxes)) for axis in range(3)
    )


def _mask(labels: np.ndarray, ids: tuple[int, ...]) -> np.ndarray:
    mask = labels == ids[0]
    for label in ids[1:]:
        mask |= labels == label
    return mask


def _score_masks(
    truth: np.ndarray, prediction: np.ndarray, spacing: tuple[float, ...], rules: ScoreRules, tolerance: float
) -> dict[str, float]:
    """Scores of two masks (x, y, z), neither of them empty."""
    common = int(np.count_nonzero(truth & prediction))
    true, predicted = int(np.count_nonzero(truth)), int(np.count_nonzero(prediction))
    values = {
        'dice': 2 * common / (true + predicted),
        'iou': common / (true + predicted - common),
        'sensitivity': common / true,
        'precision': common / predicted,
        'volume_difference_ml': (predicted - true) * float(np.prod(spacing)) / _ML,
    }
    if rules.wants_surfaces:
        distances = surface_distances(truth, prediction, spacing=spacing, rule=rules.surface)
        values.update(surface_scores(distances, tolerance=tolerance, rule=rules.surface))
    return {name: values[name] for name in rules.scores}


def _score_absent(
    truth: np.ndarray,
    prediction: np.ndarray,
    ids: tuple[int, ...],
    boxes: Sequence[Sequence[Box]],
    *,
    spacing: tuple[float, ...],
    rules: ScoreRules,
    diagonal: float,
) -> dict[str, float]:
    """Scores of a class that truth, prediction or both lack, after the convention."""
    situation: Situation = 'missed' if boxes[0] else 'invented' if boxes[1] else 'absent_in_both'
    voxels = 0
    for sign, labels, found in ((-1, truth, boxes[0]), (1, prediction, boxes[1])):
        if found:
            voxels += sign * int(np.count_nonzero(_mask(labels[_union(found)], ids)))
    counted = voxels * float(np.prod(spacing)) / _ML
    convention = convention_of(rules.convention)
    return {
        name: fill_absent(convention, situation, name, diagonal=diagonal, counted=counted) for name in rules.scores
    }

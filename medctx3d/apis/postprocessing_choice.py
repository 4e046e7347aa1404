"""Choose post-processing on cases that were not trained on, class by class, by paired Dice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from medctx3d.evaluation import ScoreRules, score_case
from medctx3d.evaluation.statistics import Interval, Tally, bootstrap_interval, tally
from medctx3d.postprocessing.regions import Box, class_boxes
from medctx3d.registry import POSTPROCESSING

DICE = ScoreRules(scores=('dice',))
MIN_VOLUMES = (10.0, 100.0, 1000.0)  # mm^3 that are tried: balls of about 3, 6 and 12 mm across


class Crop(NamedTuple):
    """One class of one case, cut to the box that truth and prediction share, a voxel wider.

    Attributes:
        truth: (x, y, z) class ids.
        prediction: (x, y, z) class ids.
        affine: (4, 4) of the file's grid; only the size of its voxels counts.
    """

    truth: np.ndarray
    prediction: np.ndarray
    affine: np.ndarray


class Trial(NamedTuple):
    """A step, tried on one class after the steps that were taken before it.

    Attributes:
        step: Its config without ``classes``.
        before: Mean Dice without it.
        after: Mean Dice with it.
        gain: Interval (95 %) of the mean paired difference.
        cases: In how many it gained, changed nothing, and lost.
        taken: Whether it was chosen.
    """

    step: dict[str, Any]
    before: float
    after: float
    gain: Interval
    cases: Tally
    taken: bool = False


def candidates(min_volumes: Sequence[float] = MIN_VOLUMES) -> list[dict[str, Any]]:
    """The steps that are tried: those that one class can be judged by alone."""
    small = [dict(type='RemoveSmallComponents', min_volume=float(volume)) for volume in min_volumes]
    return [dict(type='KeepLargestComponent'), *small, dict(type='FillHoles')]


def crops_of(truth: np.ndarray, prediction: np.ndarray, affine: np.ndarray, labels: Sequence[int]) -> dict[int, Crop]:
    """What a case has of each class; classes that truth and prediction both lack are left out.

    Args:
        truth: (X, Y, Z) class ids.
        prediction: (X, Y, Z) class ids on the same grid.
        affine: (4, 4) of the grid.
        labels: Class ids of interest.
    """
    found = class_boxes(truth), class_boxes(prediction)
    crops = {}
    for label in labels:
        boxes = [there[label] for there in found if label in there]
        if boxes:
            box = _around(boxes)
            crops[label] = Crop(truth[box].copy(), prediction[box].copy(), affine)
    return crops


def choose_for_class(crops: Sequence[Crop], label: int, steps: Sequence[Mapping[str, Any]]) -> list[Trial]:
    """Take, one after another, the step that gains most, as long as it surely gains.

    A step is taken if the mean Dice grows and the whole interval of the mean paired difference lies at or above 0. A
    case whose truth lacks the class counts 1 where the prediction lacks it as well, else 0.

    Args:
        crops: Of this class, one per case.
        label: Class id.
        steps: From :func:`candidates`.

    Returns:
        All trials of the first round, then the best of each further one; those taken are marked.

    Raises:
        ValueError: Fewer than two cases have the class.
    """
    if len(crops) < 2:
        raise ValueError(f'class {label}: to choose its post-processing, two cases must have it, got {len(crops)}')
    trials: list[Trial] = []
    current, left = list(crops), [dict(step) for step in steps]
    while left:
        scores = _dice(current, label)
        tried = [_try(step, current, scores, label) for step in left]
        rows = [trial for trial, _ in tried]
        best = max(range(len(rows)), key=lambda number: rows[number].after)
        taken = rows[best].after > rows[best].before and rows[best].gain.low >= 0
        rows[best] = rows[best]._replace(taken=taken)
        trials += rows if not trials else [rows[best]]
        if not taken:
            return trials
        current = tried[best][1]
        left = [step for step in left if step['type'] != rows[best].step['type']]
    return trials


def config_steps(taken: Mapping[int, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """``model.postprocessing`` from the steps of each class, classes with the same steps together."""
    groups: dict[str, tuple[list[int], Sequence[Mapping[str, Any]]]] = {}
    for label, steps in taken.items():
        if steps:
            groups.setdefault(repr(list(steps)), ([], steps))[0].append(label)
    return [
        dict(type=step['type'], classes=tuple(labels), **{key: step[key] for key in step if key != 'type'})
        for labels, steps in groups.values()
        for step in steps
    ]


def _try(step: Mapping[str, Any], crops: Sequence[Crop], scores: np.ndarray, label: int) -> tuple[Trial, list[Crop]]:
    run = POSTPROCESSING.build(dict(step, classes=(label,)))
    changed = [crop._replace(prediction=run(crop.prediction, crop.affine)) for crop in crops]
    after = _dice(changed, label)
    gain = after - scores
    trial = Trial(dict(step), float(scores.mean()), float(after.mean()), bootstrap_interval(gain), tally(gain))
    return trial, changed


def _dice(crops: Sequence[Crop], label: int) -> np.ndarray:
    return np.array(list(_dices(crops, label)))


def _dices(crops: Sequence[Crop], label: int) -> Iterator[float]:
    for crop in crops:
        if (crop.truth == label).any():
            scores = score_case(crop.truth, crop.prediction, spacing=(1, 1, 1), classes={'class': label}, rules=DICE)
            yield scores['class']['dice']
        else:
            yield float(not (crop.prediction == label).any())


def _around(boxes: Sequence[Box]) -> Box:
    return tuple(
        slice(max(0, min(side.start for side in sides) - 1), max(side.stop for side in sides) + 1)
        for sides in zip(*boxes, strict=True)
    )

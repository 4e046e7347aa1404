"""From scores of cases to means of classes, and from those to the mean that is reported."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

AGGREGATION = (
    'classes: mean over the cases in which the class is scored. mean: mean over the reported classes. mean_all: mean '
    'over all foreground classes.'
)

Scores = dict[str, dict[str, float]]


def summarize(
    cases: Sequence[Mapping[str, Any]], *, reported: Sequence[str], rules: Mapping[str, Any]
) -> dict[str, Any]:
    """Average scored cases.

    Args:
        cases: Each ``dict(case=id, classes={class: {metric: value}})``, NaN where not scored.
        reported: Classes whose mean is reported.
        rules: How the values came about; copied into the result beside the aggregation.

    Returns:
        ``dict(mean, mean_all, classes, cases, rules)`` as in ``results.json``; each class also has ``cases``, the
        number of cases in which its Dice (or first metric) is scored.

    Raises:
        ValueError: There is no case, or a reported class is not among those scored.
    """
    if not cases:
        raise ValueError('no case was scored: the data set of this split is empty')
    names = list(cases[0]['classes'])
    unknown = [name for name in reported if name not in names]
    if unknown:
        raise ValueError(f'reported names classes that the class list lacks: {unknown}; it has {names}')
    metrics = list(cases[0]['classes'][names[0]])
    classes: dict[str, dict[str, float]] = {}
    for name in names:
        columns = {metric: [case['classes'][name][metric] for case in cases] for metric in metrics}
        classes[name] = {metric: mean(values) for metric, values in columns.items()}
        classes[name]['cases'] = int(np.isfinite(columns[metrics[0]]).sum())
    return dict(
        mean={metric: mean([classes[name][metric] for name in reported]) for metric in metrics},
        mean_all={metric: mean([classes[name][metric] for name in names]) for metric in metrics},
        classes=classes,
        cases=list(cases),
        rules=dict(rules, reported=list(reported), aggregation=AGGREGATION),
    )


def mean(values: Sequence[float]) -> float:
    """Mean of the values that are not NaN; NaN where none is left."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # an organ that no case has: its NaN says so
        return float(np.nanmean(np.asarray(values, dtype=float))) if len(values) else float('nan')

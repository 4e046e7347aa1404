"""From scores of cases to means of classes, and from those to the mean that is reported."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Scores = dict[str, dict[str, float]]


def summarize(
    cases: Sequence[Mapping[str, Any]],
    *,
    reported: Sequence[str],
    rules: Mapping[str, Any],
    regions: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Average scored cases.

    Args:
        cases: Each ``dict(case=id, classes={class: {metric: value}})``, NaN where not scored.
        reported: Classes or regions whose mean is reported.
        rules: How the values came about, from :func:`~medctx3d.evaluation.metrics.score_rules.state_rules`; its
            ``means`` says how they are averaged, and all of it is copied into the result.
        regions: Regions to the classes that make them; ``mean_all`` leaves them out.

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
    table = np.array([[[case['classes'][name][metric] for metric in metrics] for name in names] for case in cases])
    classes: dict[str, dict[str, float]] = {}
    for place, name in enumerate(names):
        classes[name] = {metric: mean(table[:, place, i]) for i, metric in enumerate(metrics)}
        classes[name]['cases'] = int(np.isfinite(table[:, place, 0]).sum())

    def over(chosen: Sequence[str]) -> dict[str, float]:
        rows = table[:, [names.index(name) for name in chosen]]  # a row for each value that the mean is taken of
        if rules['means'] == 'of_classes':
            rows = rows.swapaxes(0, 1)
        return {metric: mean([mean(row[:, i]) for row in rows]) for i, metric in enumerate(metrics)}

    return dict(
        mean=over(reported),
        mean_all=over([name for name in names if name not in (regions or {})]),
        classes=classes,
        cases=list(cases),
        rules=dict(
            rules, reported=list(reported), regions={name: list(parts) for name, parts in (regions or {}).items()}
        ),
    )


def mean(values: Any) -> float:
    """Mean of the values that are not NaN; NaN where none is left."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # an organ that no case has: its NaN says so
        return float(np.nanmean(np.asarray(values, dtype=float))) if len(values) else float('nan')

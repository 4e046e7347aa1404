"""Figures of a test, turned so that a reader finds the cases to look at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from medctx3d.evaluation.metrics.metric_table import METRICS, merit

_DECIMALS = 4  # of a metric that the package does not know


class CaseScore(NamedTuple):
    """A case with its means.

    Attributes:
        case: Id.
        mean: Over the reported classes that are scored, by metric; None where none is.
        classes: Values by class and metric; None where not scored.
    """

    case: str
    mean: dict[str, float | None]
    classes: dict[str, dict[str, float | None]]


def heading(metric: str) -> str:
    """Name of a metric for people, with its unit; of a plugin's metric as it is."""
    return METRICS[metric].heading if metric in METRICS else metric.replace('_', ' ')


def decimals(metric: str) -> int:
    """Digits after the point that a table shows of a metric."""
    return METRICS[metric].decimals if metric in METRICS else _DECIMALS


def good(metric: str, value: float) -> float:
    """The value turned so that higher is better, as a metric that the package does not know already is."""
    return float(merit(metric, value)) if metric in METRICS else value


def case_scores(results: Mapping[str, Any]) -> list[CaseScore]:
    """Every case of ``results.json`` with its means over the reported classes."""
    reported = set(results['rules'].get('reported') or results['classes'])
    scores = []
    for entry in results['cases']:
        classes = entry['classes']
        chosen = [values for name, values in classes.items() if name in reported]
        means = {metric: _mean([values.get(metric) for values in chosen]) for metric in results['mean']}
        scores.append(CaseScore(str(entry['case']), means, classes))
    return scores


def ranking_metric(results: Mapping[str, Any]) -> str:
    """The metric that cases are ranked by: Dice, or the first if the test left Dice out."""
    return 'dice' if 'dice' in results['mean'] else next(iter(results['mean']))


def worst_and_best(scores: Sequence[CaseScore], metric: str, count: int) -> tuple[list[str], list[str]]:
    """Ids of the worst cases, worst first, and of the best, best first; no case is in both.

    Args:
        scores: Of all cases.
        metric: That they are ranked by; cases without it are left out.
        count: Of each at most; the worst have the first choice.
    """
    ranked = sorted(
        (score for score in scores if score.mean[metric] is not None),
        key=lambda score: good(metric, score.mean[metric] or 0.0),
    )
    names = [score.case for score in ranked]
    worst = names[:count]
    return worst, [name for name in reversed(names) if name not in worst][:count]


def _mean(values: Sequence[float | None]) -> float | None:
    found = [value for value in values if value is not None and math.isfinite(value)]
    return sum(found) / len(found) if found else None

"""Which of several methods is best over cases and metrics, and how far other cases would change that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from medctx3d.evaluation.metrics.metric_table import merit
from medctx3d.evaluation.statistics import RESAMPLES, Interval

_SEED = 0
_DECIMALS = 9  # scores that differ less are tied


class Place(NamedTuple):
    """Where a method stands.

    Attributes:
        mean_rank: Over cases, then over metrics; 1 is the best in every case by every metric.
        interval: 95 % bootstrap of it over cases, percentiles.
        first: Share of the draws in which its mean rank is the best; ties are shared.
        by_metric: Mean rank over cases by metric.
    """

    mean_rank: float
    interval: Interval
    first: float
    by_metric: dict[str, float]


class Ranking(NamedTuple):
    """Places in the order of the columns.

    Attributes:
        places: One per method.
        stability: Kendall's tau between the order of the mean ranks and that in a draw of cases, averaged over draws:
            1 where every draw gives the same order. NaN where all methods are tied.
        cases: By metric, those in which every method is scored; the others are left out.
    """

    places: list[Place]
    stability: float
    cases: dict[str, int]


def rank_methods(tables: Mapping[str, np.ndarray]) -> Ranking:
    """Rank methods within each case and metric, average the ranks, and draw cases anew to see what holds.

    Args:
        tables: Metric to (cases, methods) scores; NaN where not scored. The cases are the same, in one order.

    Raises:
        ValueError: By some metric no case has a score of every method.
    """
    ranks, scored = [], []
    for metric, table in tables.items():
        whole = np.isfinite(table).all(axis=1)
        if not whole.any():
            raise ValueError(
                f'no case has {metric} of every run, so they cannot be ranked by it; choose other metrics'
            )
        found = np.zeros(table.shape)
        found[whole] = stats.rankdata(-np.round(merit(metric, table[whole]), _DECIMALS), axis=1)
        ranks.append(found)
        scored.append(whole)
    all_ranks, all_scored = np.stack(ranks), np.stack(scored)  # (metrics, cases, methods), (metrics, cases)
    by_metric = all_ranks.sum(axis=1) / all_scored.sum(axis=1)[:, None]
    means = by_metric.mean(axis=0)
    drawn = _drawn_means(all_ranks, all_scored)
    best = drawn <= drawn.min(axis=1, keepdims=True) + 10.0**-_DECIMALS
    first = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    places = [
        Place(
            float(means[i]),
            Interval(float(low[i]), float(high[i])),
            float(first[i]),
            {metric: float(by_metric[row, i]) for row, metric in enumerate(tables)},
        )
        for i in range(len(means))
    ]
    cases = {metric: int(whole.sum()) for metric, whole in zip(tables, scored, strict=True)}
    return Ranking(places, _stability(means, drawn), cases)


def _drawn_means(ranks: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """Mean ranks (draws, methods) when cases are drawn with replacement; a draw needs a case for every metric."""
    cases = scored.shape[1]
    draws = np.random.default_rng(_SEED).multinomial(cases, np.full(cases, 1 / cases), size=RESAMPLES)
    counts = draws @ scored.T  # (draws, metrics)
    draws, counts = draws[(counts > 0).all(axis=1)], counts[(counts > 0).all(axis=1)]
    sums = np.einsum('dc,mcr->dmr', draws, ranks, optimize=True)
    return (sums / counts[:, :, None]).mean(axis=1)


def _stability(means: np.ndarray, drawn: np.ndarray) -> float:
    """Mean of Kendall's tau-b between one order and many, from the signs of all pairs of methods."""
    first, second = np.triu_indices(len(means), 1)
    tolerance = 10.0**-_DECIMALS

    def signs(values: np.ndarray) -> np.ndarray:
        difference = values[..., first] - values[..., second]
        return np.where(np.abs(difference) <= tolerance, 0, np.sign(difference))

    mine, theirs = signs(means), signs(drawn)
    sizes = np.sqrt((mine != 0).sum() * (theirs != 0).sum(axis=1))
    told = sizes > 0
    return float(((theirs @ mine)[told] / sizes[told]).mean()) if told.any() else float('nan')

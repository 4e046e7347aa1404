"""Several runs on the same cases: means with intervals, paired tests, wins and losses, and a ranking."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from medctx3d.evaluation.metrics.metric_table import METRICS, merit
from medctx3d.evaluation.metrics.summary import mean
from medctx3d.evaluation.ranking import Ranking, rank_methods
from medctx3d.evaluation.runs import Run, case_table, check_comparable, shared_metrics
from medctx3d.evaluation.statistics import (
    Interval,
    Tally,
    bootstrap_interval,
    holm,
    sign_flip_test,
    tally,
)
from medctx3d.registry import closest

PREFERRED = ('dice', 'hd95', 'nsd')


class Score(NamedTuple):
    """A run by a metric: mean over cases, its 95 % bootstrap interval, and how many cases are scored."""

    mean: float
    interval: Interval
    cases: int


class PairedTest(NamedTuple):
    """Two runs by a metric, on the cases that both score.

    Attributes:
        first: Name.
        second: Name.
        difference: Mean over cases of second minus first; of absolute values where 0 is best.
        interval: 95 % bootstrap of it over cases.
        p: Two-sided sign-flip permutation test.
        p_holm: The same, adjusted for all pairs of the metric.
        tally: Cases that the second wins, neither, loses.
    """

    first: str
    second: str
    difference: float
    interval: Interval
    p: float
    p_holm: float
    tally: Tally


class Comparison(NamedTuple):
    """What is found.

    Attributes:
        names: Of the runs.
        classes: Whose mean within a case is compared.
        cases: Ids.
        scores: Metric to one score per run.
        pairs: Metric to a test for every pair.
        ranking: Over cases and metrics.
        rules: Of the first run; those of the others agree.
    """

    names: list[str]
    classes: list[str]
    cases: list[str]
    scores: dict[str, list[Score]]
    pairs: dict[str, list[PairedTest]]
    ranking: Ranking
    rules: dict[str, Any]


def compare(runs: Sequence[Run], *, metrics: Sequence[str] = (), classes: Sequence[str] = ()) -> Comparison:
    """Compare runs.

    Args:
        runs: At least two.
        metrics: By which; those of Dice, HD95 and NSD that all have if empty, or all that they share.
        classes: Whose mean within a case is compared; those that the runs report if empty.

    Raises:
        ValueError: The runs were not scored alike, or lack a metric or class.
    """
    check_comparable(runs)
    shared = shared_metrics(runs)
    for name in metrics:
        if name not in shared:
            near = closest(name, shared, count=1)
            hint = f' Did you mean {near[0]!r}?' if near else ''
            raise ValueError(f'metrics must be of those that all runs have, {", ".join(shared)}; got {name!r}.{hint}')
    chosen = list(metrics) or [name for name in PREFERRED if name in shared] or shared
    tables = {metric: case_table(runs, metric, classes) for metric in chosen}
    names = [run.name for run in runs]
    return Comparison(
        names=names,
        classes=list(classes) or list(runs[0].results['rules']['reported']),
        cases=[case['case'] for case in runs[0].results['cases']],
        scores={metric: [_score(column) for column in table.T] for metric, table in tables.items()},
        pairs={metric: _pairs(names, table, metric) for metric, table in tables.items()},
        ranking=rank_methods(tables),
        rules=runs[0].results['rules'],
    )


def as_data(value: Any) -> Any:
    """Named tuples as dictionaries, all the way down: what JSON knows, up to NaN."""
    if hasattr(value, '_asdict'):
        return {key: as_data(item) for key, item in value._asdict().items()}
    if isinstance(value, dict):
        return {key: as_data(item) for key, item in value.items()}
    return [as_data(item) for item in value] if isinstance(value, (list, tuple)) else value


def _score(column: np.ndarray) -> Score:
    scored = column[np.isfinite(column)]
    return Score(mean(scored), bootstrap_interval(scored), len(scored))


def _pairs(names: Sequence[str], table: np.ndarray, metric: str) -> list[PairedTest]:
    """Every pair, tested on the cases that both score."""
    values = np.abs(table) if METRICS[metric].best == 'zero' else table
    found = []
    for first, second in combinations(range(len(names)), 2):
        both = np.isfinite(table[:, [first, second]]).all(axis=1)
        difference = values[both, second] - values[both, first]
        better = merit(metric, table[both, second]) - merit(metric, table[both, first])
        p = sign_flip_test(difference)
        interval = bootstrap_interval(difference)
        found.append(
            PairedTest(names[first], names[second], mean(difference), interval, p, p_holm=p, tally=tally(better))
        )
    adjusted = holm([pair.p for pair in found])
    return [pair._replace(p_holm=value) for pair, value in zip(found, adjusted, strict=True)]

"""Means, intervals and paired comparisons of a study."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from medctx3d.evaluation.metrics.metric_table import METRICS
from medctx3d.evaluation.metrics.summary import mean
from medctx3d.evaluation.statistics import (
    Interval,
    Tally,
    bootstrap_interval,
    case_means,
    crossed_interval,
    holm,
    sign_flip_test,
    tally,
)
from medctx3d.studies.results import Finished, Table, settings_of, table_of


class Cell(NamedTuple):
    """One arm in one setting by one metric.

    Attributes:
        arm: Name.
        setting: Such as ``shots-3``.
        metric: Such as ``dice``.
        mean: Over cases, of each case's mean over seeds.
        interval: 95 % bootstrap over cases, seeds averaged first.
        crossed: 95 % bootstrap over cases and seeds.
        seed_means: Mean over cases by seed.
        cases: Scored.
        classes: Mean over cases by class.
    """

    arm: str
    setting: str
    metric: str
    mean: float
    interval: Interval
    crossed: Interval
    seed_means: dict[int, float]
    cases: int
    classes: dict[str, float]

    @property
    def seed_spread(self) -> float:
        """Standard deviation of the seeds' means (n - 1); NaN for one seed."""
        return float(np.std([*self.seed_means.values()], ddof=1)) if len(self.seed_means) > 1 else float('nan')


class Pair(NamedTuple):
    """Two arms on the same cases and seeds; wins, losses and sign are the second's against the first.

    Attributes:
        setting: Such as ``shots-3``.
        metric: Such as ``dice``.
        first: Arm.
        second: Arm.
        difference: Mean over cases of second minus first.
        interval: 95 % bootstrap of it over cases.
        p: Two-sided sign-flip permutation test over cases.
        p_holm: The same, adjusted for all pairs and settings of the metric.
        tally: Cases that the second wins, neither, loses.
        seeds_won: Seeds in which the second's mean is better.
        seeds: Seeds that both have.
    """

    setting: str
    metric: str
    first: str
    second: str
    difference: float
    interval: Interval
    p: float
    p_holm: float
    tally: Tally
    seeds_won: int
    seeds: int


def cells_of(finished: Sequence[Finished], arms: Sequence[str], metric: str) -> list[Cell]:
    """Every arm in every setting that has a finished job."""
    cells = []
    for setting in settings_of(finished):
        for arm in arms:
            table = table_of(finished, arm, setting, metric)
            if table.cases:
                cells.append(_cell(finished, arm, setting, metric, table))
    return cells


def pairs_of(
    finished: Sequence[Finished], arms: Sequence[str], metric: str, *, against: str | None = None
) -> list[Pair]:
    """Every pair of arms in every setting that both have finished a seed of.

    Args:
        finished: Jobs.
        arms: To be compared.
        metric: Score.
        against: The arm that each other one is compared with; None: all with all. Fewer comparisons leave more of each
            after Holm's adjustment, so choose before looking.
    """
    chosen = list(combinations(arms, 2)) if against is None else [(against, arm) for arm in arms if arm != against]
    pairs = []
    for setting in settings_of(finished):
        tables = {arm: table_of(finished, arm, setting, metric) for arm in arms}
        for first, second in chosen:
            differences = _differences(tables[first], tables[second], metric)
            if differences.size:
                pairs.append(_pair(setting, metric, first, second, differences))
    adjusted = holm([pair.p for pair in pairs])
    return [pair._replace(p_holm=value) for pair, value in zip(pairs, adjusted, strict=True)]


def plain(row: Cell | Pair) -> dict[str, Any]:
    """A cell or pair as JSON knows it, up to NaN."""
    values = row._asdict()
    for key, value in values.items():
        if isinstance(value, (Interval, Tally)):
            values[key] = value._asdict()
    if isinstance(row, Cell):
        values['seed_spread'] = row.seed_spread
    return values


def _cell(finished: Sequence[Finished], arm: str, setting: str, metric: str, table: Table) -> Cell:
    per_case = case_means(table.values)
    example = next(item for item in finished if item.job.arm == arm and item.setting == setting)
    names = list(next(iter(example.cases.values())))
    return Cell(
        arm,
        setting,
        metric,
        mean=mean(per_case.tolist()),
        interval=bootstrap_interval(per_case),
        crossed=crossed_interval(table.values),
        seed_means={seed: mean(table.values[:, i].tolist()) for i, seed in enumerate(table.seeds)},
        cases=len(per_case),
        classes={
            name: mean(case_means(table_of(finished, arm, setting, metric, classes=[name]).values).tolist())
            for name in names
        },
    )


def _differences(first: Table, second: Table, metric: str) -> np.ndarray:
    """(cases, seeds) of second minus first, on what both have; of absolute values where 0 is best."""
    cases = [case for case in first.cases if case in second.cases]
    seeds = [seed for seed in first.seeds if seed in second.seeds]
    both = [
        table.values[np.ix_([table.cases.index(case) for case in cases], [table.seeds.index(seed) for seed in seeds])]
        for table in (first, second)
    ]
    if METRICS[metric].best == 'zero':
        both = [np.abs(values) for values in both]
    return both[1] - both[0]


def _pair(setting: str, metric: str, first: str, second: str, differences: np.ndarray) -> Pair:
    per_case = case_means(differences)
    sign = 1 if METRICS[metric].best == 'high' else -1  # fewer mm are better
    by_seed = [mean(column.tolist()) for column in differences.T]
    p = sign_flip_test(per_case)
    return Pair(
        setting,
        metric,
        first,
        second,
        difference=mean(per_case.tolist()),
        interval=bootstrap_interval(per_case),
        p=p,
        p_holm=p,
        tally=tally(sign * per_case),
        seeds_won=sum(sign * value > 0 for value in by_seed),
        seeds=len(by_seed),
    )

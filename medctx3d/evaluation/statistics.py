"""How sure a mean is, and whether two sets of scores of the same cases differ.

Cases are what is resampled. Scores of one case under several seeds are not independent, so they are averaged first
(:func:`case_means`); what the seeds add is told by :func:`crossed_interval`, which resamples both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

RESAMPLES = 9999
_SEED = 0  # of the resampling: the same table gives the same interval


class Interval(NamedTuple):
    """A confidence interval; both ends are NaN where there is too little to resample."""

    low: float
    high: float


class Tally(NamedTuple):
    """In how many cases the first is better, equal, and worse."""

    wins: int
    ties: int
    losses: int


def case_means(table: ArrayLike) -> np.ndarray:
    """Mean of each case over its seeds.

    Args:
        table: (cases, seeds), NaN where not scored.

    Returns:
        (cases with a score,) in their order.
    """
    values = np.asarray(table, dtype=float)
    scored = np.isfinite(values)
    kept = scored.any(axis=1)
    return np.where(scored, values, 0)[kept].sum(axis=1) / scored[kept].sum(axis=1)


def bootstrap_interval(values: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Interval of the mean when cases are drawn with replacement: bias-corrected and accelerated (Efron 1987).

    Args:
        values: (cases,), finite; one number per case.
        confidence: Between 0 and 1.

    Raises:
        ValueError: A value is not finite, or ``confidence`` is out of range.
    """
    values = _finite(values)
    if not 0 < confidence < 1:
        raise ValueError(f'confidence must lie between 0 and 1, got {confidence}')
    if len(values) < 2:
        return Interval(np.nan, np.nan)
    if np.ptp(values) == 0:  # resampling can only give the same mean, and the acceleration would be 0 / 0
        return Interval(float(values[0]), float(values[0]))
    result = stats.bootstrap(
        (values,), np.mean, confidence_level=confidence, n_resamples=RESAMPLES, method='BCa', rng=_SEED
    )
    return Interval(float(result.confidence_interval.low), float(result.confidence_interval.high))


def crossed_interval(table: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Interval of the mean when cases and seeds are drawn, each with replacement and independently: percentiles.

    Wider than :func:`bootstrap_interval`: it also covers another draw of training subsets. With fewer than about five
    seeds it is rough.

    Args:
        table: (cases, seeds), NaN where not scored.
        confidence: Between 0 and 1.
    """
    values = np.asarray(table, dtype=float)
    cases, seeds = values.shape
    if cases < 2 or seeds < 2:
        return Interval(np.nan, np.nan)
    scored = np.isfinite(values)
    filled = np.where(scored, values, 0)
    rng = np.random.default_rng(_SEED)
    by_case = rng.multinomial(cases, np.full(cases, 1 / cases), size=RESAMPLES)
    by_seed = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES)
    sums = ((by_case @ filled) * by_seed).sum(axis=1)
    counts = ((by_case @ scored) * by_seed).sum(axis=1)
    means = sums[counts > 0] / counts[counts > 0]
    if not len(means):
        return Interval(np.nan, np.nan)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def sign_flip_test(differences: ArrayLike) -> float:
    """Two-sided p-value of paired differences: how often random signs give a mean as far from 0.

    Exact, over all 2^n sign patterns, where these are no more than ``RESAMPLES`` (13 cases); by that many random
    patterns otherwise, the observed one counted in.

    Args:
        differences: (cases,), finite.

    Raises:
        ValueError: A value is not finite.
    """
    values = _finite(differences)
    if not len(values) or not values.any():
        return 1.0
    if len(values) == 1:
        return 1.0
    result = stats.permutation_test(
        (values,), _mean, permutation_type='samples', vectorized=True, n_resamples=RESAMPLES, rng=_SEED
    )
    return float(result.pvalue)


def tally(differences: ArrayLike, *, tolerance: float = 1e-9) -> Tally:
    """Count cases that the first wins, neither, and loses.

    Args:
        differences: (cases,), the first's score minus the second's, higher being better.
        tolerance: Differences up to here are ties.

    Raises:
        ValueError: A value is not finite.
    """
    values = _finite(differences)
    wins, losses = int((values > tolerance).sum()), int((values < -tolerance).sum())
    return Tally(wins, len(values) - wins - losses, losses)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, so that the chance of any false finding stays below the level (Holm 1979).

    Args:
        p_values: Of all comparisons that are looked at together.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(np.argsort(p_values, kind='stable')):
        largest = max(largest, min(1.0, (len(p_values) - rank) * float(p_values[index])))
        adjusted[index] = largest
    return adjusted


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    return np.mean(values, axis=axis)


def _finite(values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError(
            f'one finite number per case is needed, got shape {array.shape} with {int((~np.isfinite(array)).sum())} '
            'not finite: leave out cases that are not scored'
        )
    return array

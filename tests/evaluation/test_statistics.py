"""Intervals and tests against what they are by definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from medctx3d.evaluation.statistics import (
    Interval,
    bootstrap_interval,
    case_means,
    crossed_interval,
    holm,
    sign_flip_test,
    tally,
)


def all_sign_patterns(differences):
    """The exact test by its definition."""
    values = np.asarray(differences, dtype=float)
    observed = abs(values.mean())
    means = [abs((values * signs).mean()) for signs in itertools.product((1, -1), repeat=len(values))]
    return np.mean([value >= observed - 1e-12 for value in means])


@pytest.mark.parametrize('count', [2, 3, 6, 9])
def test_sign_flips_of_few_cases_are_exact(count):
    differences = np.random.default_rng(count).normal(0.3, 1, count)
    assert sign_flip_test(differences) == pytest.approx(all_sign_patterns(differences))


def test_the_smallest_p_of_five_cases_is_two_of_all_patterns():
    assert sign_flip_test([0.1, 0.2, 0.1, 0.3, 0.2]) == pytest.approx(2 / 2**5)


def test_sign_flips_of_many_cases_agree_with_the_t_test_on_normal_data():
    differences = np.random.default_rng(0).normal(0.35, 1, 40)
    assert sign_flip_test(differences) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.01)


def test_equal_scores_and_a_single_case_prove_nothing():
    assert sign_flip_test(np.zeros(8)) == 1
    assert sign_flip_test([0.4]) == 1
    assert sign_flip_test([]) == 1


def test_false_findings_come_at_the_stated_rate():
    rng = np.random.default_rng(1)
    found = [sign_flip_test(rng.normal(0, 1, 8)) <= 0.05 for _ in range(300)]
    assert np.mean(found) < 0.09


def test_interval_of_the_mean_agrees_with_the_normal_one_on_many_cases():
    values = np.random.default_rng(2).normal(0.8, 0.05, 200)
    half = 1.96 * values.std(ddof=1) / np.sqrt(200)
    interval = bootstrap_interval(values)
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    intervals = [bootstrap_interval(rng.normal(0, 1, 20)) for _ in range(40)]
    assert sum(interval.low <= 0 <= interval.high for interval in intervals) >= 33


def test_repeating_a_case_under_more_seeds_makes_nothing_surer():
    once = np.random.default_rng(4).normal(0.8, 0.1, (12, 1))
    interval = bootstrap_interval(case_means(once))
    assert bootstrap_interval(case_means(np.repeat(once, 5, axis=1))) == pytest.approx(interval)


def test_seeds_that_differ_widen_only_the_crossed_interval():
    rng = np.random.default_rng(5)
    table = rng.normal(0.8, 0.02, (20, 1)) + np.array([-0.1, -0.05, 0, 0.05, 0.1])
    narrow, wide = bootstrap_interval(case_means(table)), crossed_interval(table)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_crossed_interval_agrees_with_drawing_rows_and_columns():
    rng = np.random.default_rng(6)
    table = rng.normal(0.7, 0.1, (9, 4)) + rng.normal(0, 0.05, (1, 4))
    means = []
    for _ in range(4000):
        rows, columns = rng.integers(0, 9, 9), rng.integers(0, 4, 4)
        means.append(table[np.ix_(rows, columns)].mean())
    assert crossed_interval(table) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.006)


def test_the_same_table_gives_the_same_interval():
    values = np.random.default_rng(7).normal(0, 1, 15)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert crossed_interval(values.reshape(5, 3)) == crossed_interval(values.reshape(5, 3))


def test_one_case_or_equal_cases_have_no_spread():
    assert np.isnan(bootstrap_interval([0.5])).all()
    assert bootstrap_interval([0.5, 0.5, 0.5]) == Interval(0.5, 0.5)
    assert np.isnan(crossed_interval([[0.5, 0.6]])).all()


def test_scores_that_are_missing_are_left_out():
    table = [[0.2, 0.4], [np.nan, 0.6], [np.nan, np.nan]]
    assert case_means(table) == pytest.approx([0.3, 0.6])
    with pytest.raises(ValueError, match='1 not finite'):
        bootstrap_interval([0.1, np.nan])


def test_wins_ties_and_losses_add_up():
    assert tally([0.1, -0.1, 0.0, 1e-12, 0.2]) == (2, 2, 1)


def test_holm_of_the_textbook():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_value_nor_changes_the_order(p_values):
    adjusted = holm(p_values)
    assert all(new >= old for new, old in zip(adjusted, p_values, strict=True))
    order = np.argsort(p_values, kind='stable')
    assert (np.diff(np.asarray(adjusted)[order]) >= 0).all()

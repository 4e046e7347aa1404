"""Which cases a reader is shown first."""

from __future__ import annotations

import pytest

from medctx3d.reporting.scores import CaseScore, case_scores, good, heading, ranking_metric, worst_and_best


def scored(values, metric='dice'):
    return [CaseScore(name, {metric: value}, {}) for name, value in values.items()]


def test_worst_and_best_come_in_order_and_no_case_is_both():
    scores = scored(dict(a=0.9, b=0.1, c=0.5, d=0.7))
    assert worst_and_best(scores, 'dice', 2) == (['b', 'c'], ['a', 'd'])
    assert worst_and_best(scores, 'dice', 3) == (['b', 'c', 'd'], ['a'])
    assert worst_and_best(scores, 'dice', 0) == ([], [])


def test_a_large_distance_is_worse_than_a_small_one():
    assert worst_and_best(scored(dict(a=1.0, b=30.0, c=5.0), 'hd95'), 'hd95', 1) == (['b'], ['a'])


def test_a_volume_difference_is_good_near_zero():
    assert good('volume_difference_ml', -3.0) == good('volume_difference_ml', 3.0) < good('volume_difference_ml', 1)


def test_a_case_that_is_not_scored_is_neither_worst_nor_best():
    assert worst_and_best(scored(dict(a=None, b=0.5, c=0.6)), 'dice', 5) == (['b', 'c'], [])


def test_means_are_over_the_reported_classes_that_are_scored():
    classes = dict(liver=dict(dice=0.8, hd95=4.0), spleen=dict(dice=0.6, hd95=None), aorta=dict(dice=0.0, hd95=99.0))
    results = dict(
        mean=dict(dice=0.7, hd95=4.0),
        cases=[dict(case='a', classes=classes)],
        classes=classes,
        rules=dict(reported=['liver', 'spleen']),
    )
    assert case_scores(results)[0].mean == pytest.approx(dict(dice=0.7, hd95=4.0))
    assert ranking_metric(results) == 'dice'
    assert ranking_metric(dict(mean=dict(nsd=0.5))) == 'nsd'


def test_a_metric_of_a_plugin_is_named_as_it_is():
    assert heading('surface_overlap') == 'surface overlap'

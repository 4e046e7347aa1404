from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from surface_distance.lookup_tables import create_table_neighbour_code_to_surface_area

from medctx3d.evaluation.metrics import case_scores
from medctx3d.evaluation.metrics.case_scores import score_case
from medctx3d.evaluation.metrics.metric_table import METRIC_NAMES
from medctx3d.evaluation.metrics.score_rules import ScoreRules, check_rules, check_tolerances
from medctx3d.evaluation.metrics.summary import mean, summarize

ORGAN = {'organ': 1}


def box(shape, start, stop, label=1):
    labels = np.zeros(shape, np.uint8)
    labels[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = label
    return labels


def ball(shape, centre, radius, spacing):
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing='ij'), -1)
    return (np.linalg.norm((index - centre) * np.asarray(spacing), axis=-1) <= radius).astype(np.uint8)


def corner_surface(mask, spacing):
    """Corners in mm of all voxels where the mask changes, (M, 3), and the mm^2 of surface that each stands for.

    The areas are those of the package's own table; which corners there are, and how far, is worked out here.
    """
    table = create_table_neighbour_code_to_surface_area(spacing)
    padded = np.pad(mask.astype(int), 1)
    points, areas = [], []
    for corner in np.ndindex(*(n - 1 for n in padded.shape)):
        cell = padded[tuple(slice(i, i + 2) for i in corner)].ravel()
        if 0 < cell.sum() < 8:
            points.append(np.multiply(corner, spacing))
            areas.append(table[int(cell @ 2 ** np.arange(7, -1, -1))])
    return np.asarray(points), np.asarray(areas)


def weighted_percentile(distances, areas, share):
    order = np.argsort(distances)
    return distances[order][np.searchsorted(np.cumsum(areas[order]) / areas.sum(), share)]


def brute_force(truth, prediction, spacing, tolerance):
    """HD95, ASD and NSD from all pairs of surface corners."""
    (a, area_a), (b, area_b) = corner_surface(truth, spacing), corner_surface(prediction, spacing)
    pairs = np.linalg.norm(a[:, None] - b[None], axis=-1)
    there, back = pairs.min(1), pairs.min(0)
    close = area_a[there <= tolerance].sum() + area_b[back <= tolerance].sum()
    return {
        'hd95': max(weighted_percentile(there, area_a, 0.95), weighted_percentile(back, area_b, 0.95)),
        'asd': (np.average(there, weights=area_a) + np.average(back, weights=area_b)) / 2,
        'nsd': close / (area_a.sum() + area_b.sum()),
    }


def test_a_perfect_prediction_scores_perfectly():
    labels = box((16, 16, 16), (3, 4, 5), (9, 12, 10))
    scores = score_case(labels, labels, spacing=(1, 2, 3), classes=ORGAN)['organ']
    assert scores == {'dice': 1.0, 'iou': 1.0, 'hd95': 0.0, 'asd': 0.0, 'nsd': 1.0}


def test_overlap_of_shifted_boxes_is_the_analytic_one():
    truth = box((20, 12, 12), (2, 2, 2), (10, 10, 10))
    prediction = box((20, 12, 12), (6, 2, 2), (14, 10, 10))
    scores = score_case(truth, prediction, spacing=(1, 1, 1), classes=ORGAN)['organ']
    assert scores['dice'] == pytest.approx(0.5)
    assert scores['iou'] == pytest.approx(1 / 3)


@pytest.mark.parametrize(('axis', 'spacing'), [(0, (3.0, 1.0, 1.0)), (1, (1.0, 0.5, 1.0)), (2, (0.8, 0.8, 5.0))])
def test_hd95_of_a_shift_is_the_shift_in_mm(axis, spacing):
    start, stop = np.array([4, 4, 4]), np.array([10, 10, 10])
    step = np.eye(3, dtype=int)[axis] * 2
    truth, prediction = box((18,) * 3, start, stop), box((18,) * 3, start + step, stop + step)
    scores = score_case(truth, prediction, spacing=spacing, classes=ORGAN)['organ']
    assert scores['hd95'] == pytest.approx(2 * spacing[axis])


def test_concentric_balls_differ_by_their_radii():
    spacing = (1.0, 1.0, 1.0)
    truth, prediction = (ball((40,) * 3, (20, 20, 20), radius, spacing) for radius in (10, 15))
    scores = score_case(truth, prediction, spacing=spacing, classes=ORGAN, rules=ScoreRules(nsd_tolerance_mm=6))
    assert scores['organ']['dice'] == pytest.approx(2 / (1 + 1.5**3), abs=0.01)
    assert scores['organ']['asd'] == pytest.approx(5, abs=0.6)  # a voxel surface is half a voxel thick
    assert scores['organ']['hd95'] == pytest.approx(5, abs=0.9)
    assert scores['organ']['nsd'] == 1.0


def test_nsd_turns_at_the_tolerance():
    spacing = (1.0, 1.0, 4.0)
    truth, prediction = box((12,) * 3, (0, 0, 2), (12, 12, 6)), box((12,) * 3, (0, 0, 3), (12, 12, 7))
    loose, tight = (
        score_case(truth, prediction, spacing=spacing, classes=ORGAN, rules=ScoreRules(nsd_tolerance_mm=mm))['organ']
        for mm in (4.0, 3.9)
    )
    assert loose['nsd'] == 1.0
    cap, side_row, surface = 12 * 12, 4 * 12 * 2, 2 * 12 * 12 + 4 * 12 * 16  # mm^2, of a box 12 x 12 x 16 mm
    assert tight['nsd'] == pytest.approx(1 - (cap + side_row) / surface, abs=0.03)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**20), spacing=st.tuples(*[st.integers(50, 400).map(lambda hundredths: hundredths / 100)] * 3)
)
def test_surface_scores_equal_those_of_all_pairs_of_surface_points(seed, spacing):
    generator = np.random.default_rng(seed)
    truth, prediction = (generator.random((2, 7, 6, 5)) < 0.3).astype(np.uint8)
    truth[3, 3, 2] = prediction[2, 2, 2] = 1
    tolerance = 1.70001  # mm, no distance on a grid of hundredths: ties are decided by rounding
    scores = score_case(
        truth, prediction, spacing=spacing, classes=ORGAN, rules=ScoreRules(nsd_tolerance_mm=tolerance)
    )
    expected = brute_force(truth, prediction, spacing, tolerance)
    assert {name: scores['organ'][name] for name in expected} == pytest.approx(expected, rel=1e-4)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**20))
def test_scores_do_not_change_when_truth_and_prediction_swap_or_the_volume_grows(seed):
    generator = np.random.default_rng(seed)
    truth, prediction = (generator.random((2, 8, 8, 8)) > 0.6).astype(np.uint8)
    once = score_case(truth, prediction, spacing=(1, 2, 0.7), classes=ORGAN)['organ']
    swapped = score_case(prediction, truth, spacing=(1, 2, 0.7), classes=ORGAN)['organ']
    padded = score_case(np.pad(truth, 3), np.pad(prediction, 3), spacing=(1, 2, 0.7), classes=ORGAN)['organ']
    assert swapped == pytest.approx(once)
    assert padded == pytest.approx(once)


EMPTY = np.zeros((6, 8, 10), np.uint8)
FULL = box((6, 8, 10), (1, 1, 1), (4, 4, 4))
NAN = float('nan')


def test_overlaps_and_volume_are_those_of_the_counts():
    truth = box((10, 10, 10), (0, 0, 0), (4, 5, 6))  # 120 voxels
    prediction = box((10, 10, 10), (1, 0, 0), (4, 5, 8))  # 120 voxels, 90 of them in the truth
    prediction[9, 9, 9] = 1
    scores = score_case(truth, prediction, spacing=(1, 2, 5), classes=ORGAN, rules=ScoreRules(METRIC_NAMES))['organ']
    assert scores['sensitivity'] == pytest.approx(90 / 120)
    assert scores['precision'] == pytest.approx(90 / 121)
    assert scores['dice'] == pytest.approx(180 / 241)
    assert scores['volume_difference_ml'] == pytest.approx(1 * 10 / 1000)  # one voxel of 10 mm^3 too much
    swapped = score_case(prediction, truth, spacing=(1, 2, 5), classes=ORGAN, rules=ScoreRules(METRIC_NAMES))['organ']
    assert swapped['sensitivity'] == scores['precision']
    assert swapped['volume_difference_ml'] == -scores['volume_difference_ml']


def test_each_class_has_its_own_tolerance():
    truth = box((20, 8, 8), (2, 2, 2), (6, 6, 6), 1) + box((20, 8, 8), (12, 2, 2), (16, 6, 6), 2)
    prediction = np.roll(truth, 1, axis=0)
    rules = ScoreRules(('nsd',), nsd_tolerance_mm={'a': 1.5, 'b': 0.5})
    scores = score_case(truth, prediction, spacing=(1, 1, 1), classes={'a': 1, 'b': 2}, rules=rules)
    assert scores['a']['nsd'] == 1.0
    assert scores['b']['nsd'] < 1.0
    with pytest.raises(ValueError, match=r"missing: \['c'\], unknown: \['b'\]"):
        check_tolerances(rules, ['a', 'c'])


def test_classes_are_scored_one_by_one_and_others_ignored():
    truth = box((10, 10, 10), (0, 0, 0), (3, 3, 3), 1) + box((10, 10, 10), (5, 5, 5), (9, 9, 9), 2)
    prediction = np.where(truth == 2, 7, truth)
    scores = score_case(truth, prediction, spacing=(1, 1, 1), classes={'a': 1, 'b': 2})
    assert scores['a']['dice'] == 1.0
    assert scores['b']['dice'] == 0.0


def test_only_the_wanted_metrics_are_computed(monkeypatch):
    monkeypatch.setattr(case_scores, 'surface_distances', pytest.fail)
    rules = ScoreRules(scores=('dice', 'iou'))
    assert set(score_case(FULL, FULL, spacing=(1, 1, 1), classes=ORGAN, rules=rules)['organ']) == {'dice', 'iou'}


@pytest.mark.parametrize(
    ('rules', 'words'),
    [
        (ScoreRules(scores=('dcie',)), 'dcie'),
        (ScoreRules(scores=()), 'scores'),
        (ScoreRules(convention='nun'), "Did you mean 'nan'"),
        (ScoreRules(surface='voxel'), 'border-pooled'),
        (ScoreRules(means='of_class'), "Did you mean 'of_classes'"),
        (ScoreRules(nsd_tolerance_mm={'a': 1, 'b': -1}), 'nsd_tolerance_mm'),
        (ScoreRules(nsd_tolerance_mm=0), 'nsd_tolerance_mm'),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(rules, words):
    with pytest.raises(ValueError, match=words):
        check_rules(rules)


def test_volumes_that_differ_in_shape_or_are_not_integers_are_refused():
    with pytest.raises(ValueError, match=r'\(6, 8, 10\)'):
        score_case(EMPTY, EMPTY[:-1], spacing=(1, 1, 1), classes=ORGAN)
    with pytest.raises(ValueError, match='float64'):
        score_case(EMPTY * 1.0, EMPTY, spacing=(1, 1, 1), classes=ORGAN)


def test_means_leave_out_what_is_not_scored():
    cases = [
        dict(case='1', classes=dict(a=dict(dice=0.5), b=dict(dice=NAN), c=dict(dice=NAN))),
        dict(case='2', classes=dict(a=dict(dice=1.0), b=dict(dice=0.25), c=dict(dice=NAN))),
    ]
    summary = summarize(cases, reported=['a'], rules=dict(means='of_classes'))
    assert summary['classes']['a'] == dict(dice=0.75, cases=2)
    assert summary['classes']['b'] == dict(dice=0.25, cases=1)
    assert np.isnan(summary['classes']['c']['dice'])
    assert summary['mean']['dice'] == 0.75
    assert summary['mean_all']['dice'] == 0.5  # of the two classes that are scored at all
    by_case = summarize(cases, reported=['a'], rules=dict(means='of_cases'))
    assert by_case['mean_all']['dice'] == (0.5 + (1.0 + 0.25) / 2) / 2
    assert by_case['classes']['b'] == summary['classes']['b']
    assert np.isnan(mean([]))


def test_regions_are_reported_if_asked_and_never_part_of_all_classes():
    cases = [dict(case='1', classes=dict(a=dict(dice=0.5), b=dict(dice=0.7), core=dict(dice=0.9)))]
    rules = dict(means='of_classes')
    summary = summarize(cases, reported=['core', 'b'], rules=rules, regions=dict(core=['a', 'b']))
    assert summary['mean']['dice'] == pytest.approx(0.8)
    assert summary['mean_all']['dice'] == pytest.approx(0.6)
    assert summary['rules']['regions'] == dict(core=['a', 'b'])


def test_a_summary_of_nothing_and_of_unknown_classes_is_refused():
    with pytest.raises(ValueError, match='no case'):
        summarize([], reported=[], rules=dict(means='of_classes'))
    with pytest.raises(ValueError, match='spline'):
        summarize(
            [dict(case='1', classes=dict(a=dict(dice=1.0)))], reported=['spline'], rules=dict(means='of_classes')
        )

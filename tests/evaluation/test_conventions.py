"""Every convention against what its source says, told here once more by hand."""

from __future__ import annotations

import numpy as np
import pytest

from medctx3d.evaluation.metrics.case_scores import score_case
from medctx3d.evaluation.metrics.conventions import CONVENTIONS, FILLINGS, MEANS, convention_of
from medctx3d.evaluation.metrics.metric_table import METRIC_NAMES, METRICS, merit
from medctx3d.evaluation.metrics.score_rules import ScoreRules, check_rules, state_rules
from medctx3d.evaluation.report import without_nan

ORGAN = {'organ': 1}
EMPTY, FULL = np.zeros((6, 8, 10), np.uint8), np.ones((6, 8, 10), np.uint8)
SPACING = (2, 1, 3)
NAN, DIAGONAL = np.nan, float(np.linalg.norm([12, 8, 30]))
ML = 480 * 6 / 1000  # of the full mask

# convention: situation: dice (also iou, nsd), sensitivity, precision, mL, every distance
EXPECTED = {
    'diagonal-penalty': [(NAN, NAN, NAN, NAN, NAN), (0, 0, NAN, -ML, DIAGONAL), (0, NAN, 0, ML, DIAGONAL)],
    'nan': [(NAN, NAN, NAN, NAN, NAN), (0, 0, NAN, -ML, NAN), (NAN, NAN, NAN, NAN, NAN)],
    'synapse-zero': [(1, 1, 1, 0, 0), (0, 0, 0, -ML, 0), (0, 0, 0, ML, 0)],
    'brats-penalty': [(1, 1, 1, 0, 0), (0, 0, 0, -ML, 373.13), (0, 0, 0, ML, 373.13)],
    'msd': [(NAN, NAN, NAN, NAN, NAN), (0, 0, NAN, -ML, NAN), (0, NAN, 0, ML, NAN)],
}
PAIRS = {'absent_in_both': (EMPTY, EMPTY), 'missed': (FULL, EMPTY), 'invented': (EMPTY, FULL)}


@pytest.mark.parametrize('situation', PAIRS)
@pytest.mark.parametrize('name', CONVENTIONS)
def test_absent_organs_score_what_the_convention_says(name, situation):
    rules = ScoreRules(METRIC_NAMES, convention=name)
    scores = score_case(*PAIRS[situation], spacing=SPACING, classes=ORGAN, rules=rules)['organ']
    overlap, sensitivity, precision, volume, distance = EXPECTED[name][list(PAIRS).index(situation)]
    expected = dict(dice=overlap, iou=overlap, nsd=overlap, sensitivity=sensitivity, precision=precision)
    expected.update(volume_difference_ml=volume, hd95=distance, hd=distance, asd=distance, assd=distance)
    assert scores == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize('name', CONVENTIONS)
def test_conventions_agree_where_both_have_the_organ(name):
    truth, prediction = EMPTY.copy(), EMPTY.copy()
    truth[1:4, 2:6, 2:7], prediction[2:5, 2:6, 3:7] = 1, 1
    usual, other = (
        score_case(truth, prediction, spacing=SPACING, classes=ORGAN, rules=ScoreRules(METRIC_NAMES, convention=rule))
        for rule in ('diagonal-penalty', name)
    )
    assert usual == other


@pytest.mark.parametrize('name', CONVENTIONS)
def test_the_rules_are_stated_in_full_and_as_json(name):
    rules = ScoreRules(METRIC_NAMES, convention=name)
    stated = without_nan(state_rules(rules))
    assert stated['convention'] == name
    for row in stated['absent'].values():
        assert set(row) == set(METRIC_NAMES)
        assert all(value in FILLINGS or isinstance(value, float) for value in row.values())
    assert stated['means_text'] == MEANS[stated['means']]
    assert set(stated['definitions']) == set(METRICS)
    assert {'surface', 'surface_text', 'convention_text', 'nsd_tolerance_mm'} <= set(stated)


def test_rules_state_only_what_they_used():
    stated = state_rules(ScoreRules(('dice',), convention='msd'))
    assert stated['absent']['missed'] == {'dice': 0.0}
    assert not {'surface', 'nsd_tolerance_mm'} & set(stated)


def test_an_unknown_convention_is_refused_with_the_closest_name():
    with pytest.raises(ValueError, match=r"got 'synapse'\. Did you mean 'synapse-zero'"):
        convention_of('synapse')
    with pytest.raises(ValueError, match='brats-penalty'):
        check_rules(ScoreRules(convention='brats'))


def test_merit_is_higher_for_the_better_of_two_values():
    assert merit('dice', [0.9])[0] > merit('dice', [0.8])[0]
    assert merit('hd95', [1.0])[0] > merit('hd95', [3.0])[0]
    assert merit('volume_difference_ml', [1.0])[0] > merit('volume_difference_ml', [-2.0])[0]

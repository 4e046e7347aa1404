"""Regions against their classes merged beforehand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medctx3d.evaluation.metrics.case_scores import score_case
from medctx3d.evaluation.metrics.class_names import scored_classes
from medctx3d.evaluation.metrics.metric_table import METRIC_NAMES
from medctx3d.evaluation.metrics.score_rules import ScoreRules

ORGAN = {'organ': 1}
FULL = np.zeros((6, 8, 10), np.uint8)
FULL[1:4, 1:4, 1:4] = 1


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**20))
def test_a_region_scores_like_its_classes_merged_beforehand(seed):
    truth, prediction = np.random.default_rng(seed).choice(4, (2, 8, 7, 6), p=(0.7, 0.1, 0.1, 0.1))
    rules = ScoreRules(METRIC_NAMES)
    classes = scored_classes(('background', 'a', 'b', 'c'), dict(core=['c', 'b'], whole=['a', 'b', 'c']))
    scores = score_case(truth, prediction, spacing=(1, 2, 3), classes=classes, rules=rules)
    assert list(scores) == ['a', 'b', 'c', 'core', 'whole']
    for name, ids in (('core', (2, 3)), ('whole', (1, 2, 3))):
        merged = (np.isin(labels, ids).astype(np.uint8) for labels in (truth, prediction))
        assert scores[name] == score_case(*merged, spacing=(1, 2, 3), classes=ORGAN, rules=rules)['organ']


def test_a_region_is_absent_only_when_all_its_classes_are():
    truth, prediction = FULL * 2, FULL * 3
    classes = scored_classes(('background', 'a', 'b', 'c'), dict(core=['a', 'b', 'c']))
    scores = score_case(truth, prediction, spacing=(1, 1, 1), classes=classes)
    assert scores['core']['dice'] == 1
    assert scores['b']['dice'] == scores['c']['dice'] == 0
    assert np.isnan(scores['a']['dice'])


@pytest.mark.parametrize(
    ('regions', 'words'),
    [
        (dict(core=['bb']), "core.*Did you mean 'b'"),
        (dict(core=[]), 'core'),
        (dict(core='abc'), 'list of class names'),
        (dict(a=['b']), 'name of a class'),
    ],
)
def test_regions_that_make_no_sense_are_refused(regions, words):
    with pytest.raises(ValueError, match=words):
        scored_classes(('background', 'a', 'b'), regions)

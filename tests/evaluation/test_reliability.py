"""Calibration and entropy against their definitions, and in blocks against the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from medctx3d.evaluation.reliability import BINS, Reliability


def volume(seed=0, classes=4, shape=(6, 5, 7)):
    generator = np.random.default_rng(seed)
    logits = torch.from_numpy(generator.normal(0, 2, (*shape, classes)))
    return logits.softmax(dim=-1).numpy(), generator.integers(0, classes, shape)


def scores_of(probabilities, labels):
    found = Reliability(probabilities.shape[-1])
    found.add(probabilities, labels)
    return found.scores()


def error_by_bins(probabilities, labels):
    """Expected calibration error by its definition, voxel by voxel."""
    rows = [(p.max(), p.argmax() == y) for p, y in zip(probabilities, labels, strict=True)]
    error = 0.0
    for number in range(BINS):
        low, high = number / BINS, (number + 1) / BINS
        inside = [row for row in rows if low <= row[0] < high or (number == BINS - 1 and row[0] == 1)]
        if inside:
            confidence, right = np.mean(inside, axis=0)
            error += len(inside) / len(rows) * abs(confidence - right)
    return error


@pytest.mark.parametrize('part', ['all', 'foreground'])
def test_scores_are_those_of_the_definitions(part):
    probabilities, labels = volume()
    chosen = (labels > 0) | (probabilities.argmax(-1) > 0) if part == 'foreground' else np.ones(labels.shape, bool)
    values, truth = probabilities[chosen], labels[chosen]
    scores = scores_of(probabilities, labels)[part]
    likelihood = torch.nn.functional.nll_loss(torch.from_numpy(np.log(values)), torch.from_numpy(truth)).item()
    assert scores['voxels'] == chosen.sum()
    assert scores['nll'] == pytest.approx(likelihood, rel=1e-5)
    assert scores['brier'] == pytest.approx(((values - np.eye(4)[truth]) ** 2).sum(1).mean(), rel=1e-5)
    assert scores['entropy'] == pytest.approx(stats.entropy(values, axis=1).mean(), rel=1e-4)
    assert scores['ece'] == pytest.approx(error_by_bins(values, truth), abs=1e-6)


def test_entropy_of_a_class_is_that_of_its_voxels():
    probabilities, labels = volume()
    expected = [stats.entropy(probabilities[labels == label], axis=1).mean() for label in range(4)]
    assert scores_of(probabilities, labels)['entropy_of_classes'] == pytest.approx(expected, rel=1e-4)


def test_a_sure_and_right_network_scores_perfectly_and_a_sure_and_wrong_one_worst():
    labels = np.arange(3).repeat(5)
    sure = np.eye(3)
    right, wrong = (scores_of(p, labels)['all'] for p in (sure[labels], sure[(labels + 1) % 3]))
    assert right == pytest.approx(dict(ece=0, brier=0, nll=0, entropy=0, voxels=15), abs=1e-5)
    assert wrong == pytest.approx(dict(ece=1, brier=2, nll=-np.log(1e-6), entropy=0, voxels=15), abs=1e-5)


def test_a_network_that_knows_its_chances_is_calibrated():
    generator = np.random.default_rng(1)
    probabilities = generator.dirichlet((1, 1, 1), 40000)
    labels = (generator.random(40000)[:, None] > probabilities.cumsum(1)).sum(1).clip(0, 2)
    assert scores_of(probabilities, labels)['all']['ece'] < 0.01
    assert scores_of(probabilities**3 / (probabilities**3).sum(1, keepdims=True), labels)['all']['ece'] > 0.1


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**20), cut=st.integers(0, 7))
def test_blocks_and_merged_parts_give_the_scores_of_the_whole(seed, cut):
    probabilities, labels = volume(seed)
    whole, first, second = Reliability(4), Reliability(4), Reliability(4)
    whole.add(probabilities, labels)
    first.add(probabilities[:, :, :cut], labels[:, :, :cut])
    second.add(probabilities[:, :, cut:], labels[:, :, cut:])
    first.merge(second)
    for part in ('all', 'foreground'):
        assert first.scores()[part] == pytest.approx(whole.scores()[part])
        assert sum(row['voxels'] for row in first.diagram(part)) == whole.scores()[part]['voxels']


def test_rounding_of_stored_probabilities_is_put_up_with():
    probabilities, labels = volume()
    stored = np.round(probabilities * 255) / 255
    assert scores_of(stored, labels)['all']['brier'] == pytest.approx(
        scores_of(probabilities, labels)['all']['brier'], abs=0.01
    )


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda p, y: (p * 2, y), 'sum to 1'),
        (lambda p, y: (np.log(p), y), 'softmax'),
        (lambda p, y: (p[..., :3], y), r'\(\.\.\., 4\)'),
        (lambda p, y: (p, y[1:]), 'label each'),
        (lambda p, y: (p, y + 1), '0 to 3, got 1 to 4'),
    ],
)
def test_what_is_no_probability_or_label_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Reliability(4).add(*change(*volume()))
    with pytest.raises(ValueError, match='4 classes'):
        Reliability(4).merge(Reliability(3))

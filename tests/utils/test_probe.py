"""Probes of frozen features, on features whose worth is known."""

import pytest
import torch

from medctx3d.utils.probe import features_at, linear_probe, mean_recall, nearest_neighbours, sample_voxels

PROBES = pytest.mark.parametrize('probe', [linear_probe, nearest_neighbours])


def clusters(count, spread, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.arange(3).repeat(count)
    centres = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 400.0]])  # a channel in other units must not drown the rest
    return centres[ids] + spread * torch.randn(len(ids), 2, generator=generator) * torch.tensor([1.0, 100.0]), ids


@PROBES
def test_classes_that_lie_apart_are_found(probe):
    rows, ids = clusters(60, 0.3)
    new_rows, truth = clusters(40, 0.3, seed=1)
    assert mean_recall(probe(rows, ids, new_rows, classes=3), truth) > 0.95


@PROBES
def test_features_of_noise_are_worth_chance(probe):
    generator = torch.Generator().manual_seed(0)
    rows, ids = torch.randn(300, 5, generator=generator), torch.arange(3).repeat(100)
    found = probe(rows, ids, torch.randn(900, 5, generator=generator), classes=3)
    assert mean_recall(found, torch.arange(3).repeat(300)) == pytest.approx(1 / 3, abs=0.06)


def test_the_linear_probe_is_logistic_regression():
    """At its optimum the gradient is that of the penalty: written out for one feature and two classes."""
    rows, ids = torch.tensor([[-2.0], [-1.0], [0.5], [1.0], [3.0]]), torch.tensor([0, 0, 1, 0, 1])
    found = linear_probe(rows, ids, torch.linspace(-3, 4, 50)[:, None], classes=2, penalty=1e-4)
    steps = (found[1:] - found[:-1]).abs().sum()
    assert steps == 1
    assert found[0] == 0
    assert found[-1] == 1


def test_mean_recall_weighs_classes_alike():
    truth, found = torch.tensor([0] * 8 + [1, 1]), torch.tensor([0] * 8 + [1, 0])
    assert mean_recall(found, truth) == pytest.approx((1 + 0.5) / 2)


def test_voxels_of_every_class_are_drawn_and_no_class_has_too_many():
    labels = torch.zeros(6, 6, 6, dtype=torch.long)
    labels[0, 0, :3] = 2
    voxels = sample_voxels(labels, 5, torch.Generator().manual_seed(0))
    drawn = labels[tuple(voxels.T)]
    assert drawn.bincount().tolist() == [5, 0, 3]
    assert len({tuple(place) for place in voxels.tolist()}) == 8


def test_features_are_those_at_the_place_of_the_voxel_on_every_grid():
    fine = torch.arange(4 * 6 * 2).view(1, 4, 6, 2).float()
    coarse = torch.arange(2 * 3 * 1).view(1, 2, 3, 1).float()
    voxels = torch.tensor([[0, 0, 0], [3, 5, 1], [1, 2, 0]])
    rows = features_at([fine, coarse], voxels, (4, 6, 2))
    assert rows.tolist() == [[0.0, 0.0], [47.0, 5.0], [float(fine[0, 1, 2, 0]), 1.0]]

"""Distances between surfaces against three packages, all pairs of points, and solids whose answer is known."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
import SimpleITK
import surface_distance
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice

from medctx3d.evaluation.metrics.score_rules import ScoreRules, check_rules
from medctx3d.evaluation.metrics.surfaces import SURFACE_RULES, surface_distances, surface_scores

TOLERANCE = 1.70001  # mm, no distance on a grid of hundredths: ties are decided by rounding
PAIRS = given(
    seed=st.integers(0, 2**20),
    share=st.floats(0.05, 0.9),
    spacing=st.tuples(*[st.integers(50, 400).map(lambda hundredths: hundredths / 100)] * 3),
)


def random_pair(seed, share):
    """Two random masks (8, 7, 6), neither of them empty, touching the border or not."""
    generator = np.random.default_rng(seed)
    first, second = generator.random((2, 8, 7, 6)) < share
    first[3, 3, 2] = second[2, 2, 2] = True
    return first, second


def scores_of(first, second, spacing, rule):
    distances = surface_distances(first, second, spacing=spacing, rule=rule)
    return surface_scores(distances, tolerance=TOLERANCE, rule=rule)


def border_points(mask, spacing):
    """Centres in mm of the voxels that have a face neighbour outside, voxel by voxel."""
    padded = np.pad(mask, 1)
    return np.array(
        [
            np.multiply(index, spacing)
            for index in np.argwhere(mask)
            if not all(
                padded[tuple(index + 1 + side * np.eye(3, dtype=int)[axis])] for axis in range(3) for side in (-1, 1)
            )
        ]
    )


@settings(max_examples=15, deadline=None)
@PAIRS
def test_area_rule_equals_surface_distance(seed, share, spacing):
    first, second = random_pair(seed, share)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # it calls scipy by an old name
        theirs = surface_distance.compute_surface_distances(first, second, spacing)
    averages = surface_distance.compute_average_surface_distance(theirs)
    areas = theirs['surfel_areas_gt'].sum(), theirs['surfel_areas_pred'].sum()
    assert scores_of(first, second, spacing, 'area') == pytest.approx(
        {
            'hd95': surface_distance.compute_robust_hausdorff(theirs, 95),
            'hd': surface_distance.compute_robust_hausdorff(theirs, 100),
            'asd': np.mean(averages),
            'assd': np.average(averages, weights=areas),
            'nsd': surface_distance.compute_surface_dice_at_tolerance(theirs, TOLERANCE),
        },
        rel=1e-9,
    )


@settings(max_examples=15, deadline=None)
@PAIRS
def test_border_rule_equals_monai(seed, share, spacing):
    first, second = random_pair(seed, share)
    one, two = (torch.from_numpy(mask)[None, None] for mask in (second, first))
    edges = list(spacing)

    def average(prediction, truth, *, symmetric):
        return compute_average_surface_distance(prediction, truth, True, symmetric, spacing=edges).item()

    assert scores_of(first, second, spacing, 'border') == pytest.approx(
        {
            'hd95': compute_hausdorff_distance(one, two, True, percentile=95, spacing=edges).item(),
            'hd': compute_hausdorff_distance(one, two, True, spacing=edges).item(),
            'asd': (average(one, two, symmetric=False) + average(two, one, symmetric=False)) / 2,
            'assd': average(one, two, symmetric=True),
            'nsd': compute_surface_dice(one, two, [TOLERANCE], True, spacing=edges).item(),
        },
        rel=1e-5,  # MONAI's are float32
    )
    by_area = compute_surface_dice(one, two, [TOLERANCE], True, spacing=edges, use_subvoxels=True).item()
    assert scores_of(first, second, spacing, 'area')['nsd'] == pytest.approx(by_area, rel=1e-5)


@settings(max_examples=15, deadline=None)
@PAIRS
def test_border_rule_equals_simpleitk(seed, share, spacing):
    first, second = random_pair(seed, share)
    contours = []
    for mask in (first, second):
        image = SimpleITK.GetImageFromArray(np.pad(mask, 1).astype(np.uint8).transpose())
        image.SetSpacing(spacing)
        contours.append(SimpleITK.LabelContour(image, False))
    measure = SimpleITK.HausdorffDistanceImageFilter()
    measure.Execute(*contours)
    ours = scores_of(first, second, spacing, 'border')
    assert ours['hd'] == pytest.approx(measure.GetHausdorffDistance(), rel=1e-5)
    assert ours['asd'] == pytest.approx(measure.GetAverageHausdorffDistance(), rel=1e-5)


@settings(max_examples=8, deadline=None)
@PAIRS
def test_pooled_percentile_is_that_of_all_pairs_of_border_voxels(seed, share, spacing):
    first, second = random_pair(seed, share)
    pairs = np.linalg.norm(border_points(first, spacing)[:, None] - border_points(second, spacing)[None], axis=-1)
    pooled = np.concatenate([pairs.min(1), pairs.min(0)])
    scores = scores_of(first, second, spacing, 'border-pooled')
    assert scores['hd95'] == pytest.approx(np.percentile(pooled, 95))
    assert scores['hd'] == pytest.approx(pooled.max())


def ball(radius, spacing, edge):
    """A ball of a radius in mm around the middle of a cube of ``edge`` mm."""
    axes = [np.arange(0, edge, step) - edge / 2 for step in spacing]
    x, y, z = np.meshgrid(*axes, indexing='ij')
    return x**2 + y**2 + z**2 <= radius**2


@pytest.mark.parametrize('rule', SURFACE_RULES)
@pytest.mark.parametrize('spacing', [(1.0, 1.0, 1.0), (0.8, 0.8, 2.0)])
def test_concentric_balls_are_apart_by_their_radii_up_to_a_voxel(rule, spacing):
    small, large = (ball(radius, spacing, 36) for radius in (9, 14))
    scores = scores_of(small, large, spacing, rule)
    diagonal = np.linalg.norm(spacing)  # each surface may lie half of it beside the sphere
    for name in ('hd', 'hd95', 'asd', 'assd'):
        assert scores[name] == pytest.approx(5, abs=diagonal), name
    assert scores['asd'] == pytest.approx(5, abs=diagonal / 3)  # errors of both signs level out
    assert scores['nsd'] == 0


@pytest.mark.parametrize('rule', SURFACE_RULES)
def test_boxes_with_a_margin_are_apart_by_its_faces_and_corners(rule):
    spacing, margin = (1.0, 2.0, 1.5), 3
    outer, inner = np.ones((2, 20, 16, 18), bool)
    inner[:] = False
    inner[margin:-margin, margin:-margin, margin:-margin] = True
    distances = surface_distances(outer, inner, spacing=spacing, rule=rule)
    assert distances.there.max() == pytest.approx(margin * np.linalg.norm(spacing))  # from corner to corner
    faces = distances.back.min(), distances.back.max()
    assert faces == pytest.approx((margin * min(spacing), margin * max(spacing)))


def test_area_of_a_box_is_its_own_up_to_edges_and_corners():
    spacing, mask = (1.0, 2.0, 1.5), np.ones((20, 16, 18), bool)
    x, y, z = np.multiply(mask.shape, spacing)
    measured = surface_distances(mask, mask, spacing=spacing).there_weights.sum()
    assert measured == pytest.approx(2 * (x * y + y * z + z * x), rel=0.05)


def test_equal_masks_have_no_distance_and_one_far_voxel_counts_as_what_it_is():
    mask = np.zeros((30, 8, 8), bool)
    mask[2:7, 2:7, 2:7] = True
    for rule in SURFACE_RULES:
        assert scores_of(mask, mask, (1, 2, 3), rule) == dict(hd95=0, hd=0, asd=0, assd=0, nsd=1)
    far = mask.copy()
    far[26, 4, 4] = True
    scores = scores_of(mask, far, (1, 2, 3), 'border')
    assert scores['hd'] == 20
    assert scores['hd95'] == 0
    assert scores['asd'] == pytest.approx((0 + 20 / 99) / 2)  # 98 border voxels, and 99 with the far one
    assert scores['assd'] == pytest.approx(20 / (98 + 99))


def test_area_rule_names_the_package_it_needs_and_the_others_do_without(monkeypatch):
    monkeypatch.setitem(sys.modules, 'surface_distance.lookup_tables', None)
    with pytest.raises(ImportError, match='pip install surface-distance'):
        check_rules(ScoreRules())
    check_rules(ScoreRules(surface='border'))
    check_rules(ScoreRules(scores=('dice', 'iou')))

"""The segmentation of Felzenszwalb and Huttenlocher in volumes, against the definition in plain Python."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import minimum_spanning_tree
from skimage.segmentation import felzenszwalb

from medctx3d.datasets.regions import felzenszwalb_3d

FACES = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
PLANE = ((1, 0, 0), (0, 1, 0), (1, 1, 0), (1, -1, 0))  # scikit-image's eight neighbours, each pair once


def oracle(image, steps, *, scale, min_voxels, inside=None, factor=lambda step: 1.0):
    """Components as sets of voxels, merged one edge at a time as the paper says."""
    inside = np.ones(image.shape, bool) if inside is None else inside
    voxels = [tuple(v) for v in np.argwhere(inside)]
    edges = []
    for voxel, (axis, step) in itertools.product(voxels, enumerate(steps)):
        other = tuple(np.add(voxel, step))
        if all(0 <= i < n for i, n in zip(other, image.shape, strict=True)) and inside[other]:
            weight = np.float32(abs(np.float32(image[voxel]) - np.float32(image[other]))) * np.float32(factor(step))
            edges.append((float(weight), voxel, axis, other))
    edges.sort(key=lambda edge: edge[:3])
    component = {voxel: {voxel} for voxel in voxels}
    heaviest = {id(members): 0.0 for members in component.values()}
    for by_rule in (True, False):
        for weight, one, _, other in edges:
            a, b = component[one], component[other]
            if a is b:
                continue
            if by_rule:
                join = weight <= min(heaviest[id(a)] + scale / len(a), heaviest[id(b)] + scale / len(b))
            else:
                join = min(len(a), len(b)) < min_voxels
            if join:
                heaviest[id(a)] = weight
                a |= b
                component.update(dict.fromkeys(b, a))
    found = np.zeros(image.shape, int)
    for number, members in enumerate({id(m): m for m in component.values()}.values(), start=1):
        for voxel in members:
            found[voxel] = number
    return found


def same_partition(one, other):
    pairs = {(a, b) for a, b in zip(one.ravel().tolist(), other.ravel().tolist(), strict=True)}
    return len(pairs) == len(np.unique(one)) == len(np.unique(other))


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 6)] * 3),
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([0.0, 5.0, 40.0, 300.0]),
    min_voxels=st.sampled_from([0, 3, 12]),
    spacing=st.sampled_from([(1.0, 1.0, 1.0), (0.8, 0.8, 3.0)]),
    masked=st.booleans(),
    whole=st.booleans(),
)
def test_regions_are_those_of_the_definition(shape, seed, scale, min_voxels, spacing, masked, whole):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 5, shape).astype(float) * 20 if whole else rng.uniform(0, 100, shape)  # whole: many ties
    inside = rng.random(shape) < 0.8 if masked else None
    voxel = np.prod(spacing)
    found = felzenszwalb_3d(image, spacing, scale=scale * voxel, min_size=min_voxels * voxel, inside=inside)
    wanted = oracle(
        image,
        FACES,
        scale=scale * voxel / voxel,  # rounded as there, so that ties are ties
        min_voxels=min_voxels,
        inside=inside,
        factor=lambda step: (np.dot(step, spacing) / min(spacing)) ** 0.5,
    )
    np.testing.assert_array_equal(found, wanted)  # the numbers too: regions count by their first voxels


@pytest.mark.parametrize('min_size', [1, 9])
def test_the_oracle_is_scikit_images_algorithm_in_the_plane(min_size):
    image = np.random.default_rng(3).random((12, 11))
    theirs = felzenszwalb(image, scale=60, sigma=0, min_size=min_size)
    ours = oracle(255 * image[..., None], PLANE, scale=60, min_voxels=min_size)
    assert len(np.unique(theirs)) > 3
    assert same_partition(theirs, ours[..., 0])


def test_on_a_line_where_neighbours_are_the_same_it_is_scikit_images():
    image = np.random.default_rng(5).random((300, 1)).cumsum(axis=0) % 1
    theirs = felzenszwalb(image, scale=100, sigma=0, min_size=4)
    ours = felzenszwalb_3d(255 * image[..., None], (1, 1, 1), scale=100, min_size=4)
    assert len(np.unique(theirs)) > 5
    assert same_partition(theirs, ours[..., 0])


def test_the_edges_of_the_minimum_spanning_tree_alone_would_not_do():
    # A ring around a hole: ten voxels of 0 grow first and refuse both neighbours of 8 and -2, ten apart, which then
    # join each other over the heaviest edge of the ring. Without that edge, all paths lead through the ten.
    image = np.zeros((2, 6, 1))
    image[0, 2], image[0, 3] = 8, -2
    graph = np.zeros((12, 12))
    for (one, other), value in {(2, 3): 10, (2, 1): 8, (2, 8): 8, (3, 4): 2, (3, 9): 2}.items():
        graph[one, other] = 1 + value  # scipy takes 0 for no edge
    for start in range(6):
        graph[start, start + 6] = graph[start, start + 6] or 1
        graph[start + 6, (start + 7) % 12] = start < 5
    assert minimum_spanning_tree(graph)[2, 3] == 0
    found = felzenszwalb_3d(image, (1, 1, 1), scale=10.5, min_size=0)
    assert found[0, 2, 0] == found[0, 3, 0] != found[0, 0, 0]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), min_mm3=st.sampled_from([4.0, 20.0, 60.0]))
def test_no_region_is_smaller_than_asked(seed, min_mm3):
    image = np.random.default_rng(seed).uniform(0, 255, (7, 6, 5))
    found = felzenszwalb_3d(image, (1, 2, 1), scale=10, min_size=min_mm3)
    assert found.min() == 1
    assert 2 * np.bincount(found.ravel())[1:].min() >= min_mm3


@pytest.mark.parametrize('axes', list(itertools.permutations(range(3))))
def test_regions_turn_with_the_volume(axes):
    image = np.random.default_rng(1).uniform(0, 255, (9, 8, 7))
    spacing = np.array([0.7, 1.0, 2.5])
    straight = felzenszwalb_3d(image, spacing, scale=100, min_size=20)
    turned = felzenszwalb_3d(image.transpose(axes), spacing[list(axes)], scale=100, min_size=20)
    assert same_partition(straight.transpose(axes), turned)


def test_a_difference_counts_more_across_thick_slices():
    def count(image, exponent):
        return felzenszwalb_3d(image, (1, 1, 4), scale=44, min_size=0, distance_exponent=exponent).max()

    step = np.array([0.0, 10.0])
    assert [count(step[:, None, None], exponent) for exponent in (0.0, 1.0)] == [1, 1]
    assert [count(step[None, None], exponent) for exponent in (0.0, 1.0)] == [1, 2]


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (dict(image=np.zeros((2, 2)), spacing=(1, 1, 1)), 'shape'),
        (dict(spacing=(1, 0, 1)), 'positive voxel edges'),
        (dict(scale=-1.0), 'scale and min_size'),
        (dict(inside=np.ones((2, 2, 3), bool)), 'inside must have the shape'),
    ],
)
def test_wrong_arguments_are_named(arguments, words):
    given_ = dict(image=np.zeros((2, 2, 2)), spacing=(1, 1, 1), scale=1.0, min_size=1.0) | arguments
    with pytest.raises(ValueError, match=words):
        felzenszwalb_3d(given_.pop('image'), given_.pop('spacing'), **given_)


def test_without_numba_the_message_names_it_and_the_way_round(monkeypatch):
    from medctx3d.datasets.regions.felzenszwalb import _compiled

    _compiled.cache_clear()
    monkeypatch.setitem(sys.modules, 'numba', None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install numba, or make regions in 2D'):
        felzenszwalb_3d(np.zeros((2, 2, 2)), (1, 1, 1), scale=1, min_size=1)
    _compiled.cache_clear()

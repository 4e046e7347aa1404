"""Streamed scores on another grid, beside scipy's interpolation of the whole."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from medctx3d.inference import StreamedWindowInferer
from medctx3d.utils.geometry import grid_map, to_source_grid

CODES = [('R', 'A', 'S'), ('L', 'P', 'S'), ('P', 'S', 'R'), ('S', 'L', 'A'), ('A', 'R', 'I')]


class Kept:
    """A sink that keeps everything, and counts how often each plane came."""

    def __init__(self, classes, shape):
        self.scores = np.full((classes, *shape), np.nan)
        self.count = 0

    def write(self, planes):
        count = planes.scores.shape[planes.axis + 1]
        place = [slice(None)] * 4
        place[planes.axis + 1] = slice(planes.start, planes.start + count)
        assert np.isnan(self.scores[tuple(place)]).all()
        self.scores[tuple(place)] = planes.scores.numpy()


def turned(spacing, code, shape, shift=(0.0, 0.0, 0.0)):
    """Affine of a grid with axes of the given code, near the origin."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = shift
    transform = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt(code), nib.orientations.axcodes2ornt('RAS')
    )
    return affine @ nib.orientations.inv_ornt_aff(transform, shape)


def linear(scores, affine, source_affine, shape):
    """Scores at the wanted voxels, and which of them lie inside the working grid, half a voxel included."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing='ij'), -1) @ source_affine[:3, :3].T
    place = (index + source_affine[:3, 3] - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    place = np.round(np.moveaxis(place, -1, 0), 3)
    sizes = np.array(scores.shape[1:]).reshape(3, 1, 1, 1)
    inside = ((place >= -0.5) & (place <= sizes - 0.5)).all(0)
    at = np.clip(place, 0, sizes - 1)
    return np.stack([ndimage.map_coordinates(part, at, order=1, mode='nearest') for part in scores]), inside


def predict(scores, onto, sinks=()):
    """Stream scores that are given as the image itself."""
    inferer = StreamedWindowInferer((3, -1, -1), overlap=0.0)
    return inferer.segment(torch.from_numpy(scores).float(), lambda inputs: inputs, onto=onto, sinks=sinks).labels


@settings(max_examples=40, deadline=None)
@given(
    code=st.sampled_from(CODES),
    spacing=st.tuples(*[st.sampled_from([0.6, 1.0, 1.7, 2.5])] * 3),
    shift=st.tuples(*[st.floats(-3, 3)] * 3),
    seed=st.integers(0, 99),
)
def test_labels_and_scores_are_those_of_linear_interpolation(code, spacing, shift, seed):
    scores = np.random.default_rng(seed).normal(size=(3, 9, 6, 5)).astype(np.float32)
    affine, shape = np.diag([1.2, 0.9, 1.5, 1.0]), (8, 9, 7)
    source_affine = turned(spacing, code, shape, shift)
    onto = grid_map(affine, source_affine, shape)
    sink = Kept(3, shape)
    labels = predict(scores, onto, [sink]).numpy()
    expected, inside = linear(scores, affine, source_affine, shape)
    assert not labels[~inside].any()
    assert (sink.scores.argmax(0)[~inside] == 0).all()
    np.testing.assert_allclose(sink.scores[:, inside], expected[:, inside], atol=1e-4)
    best = np.sort(expected, axis=0)
    clear = inside & (best[-1] - best[-2] > 1e-3)
    np.testing.assert_array_equal(labels[clear], expected.argmax(0)[clear])
    np.testing.assert_array_equal(predict(scores, onto).numpy(), labels)  # with nobody looking at the scores


@pytest.mark.parametrize('code', CODES)
def test_equal_spacing_gives_the_nearest_label_bit_for_bit(code):
    scores = np.random.default_rng(0).normal(size=(4, 12, 7, 6)).astype(np.float32)
    affine, shape = np.diag([1.5, 1.5, 1.5, 1.0]), (14, 9, 8)
    source_affine = turned((1.5, 1.5, 1.5), code, shape, (-1.5, -3.0, 1.5))
    labels = predict(scores, grid_map(affine, source_affine, shape)).numpy()
    np.testing.assert_array_equal(labels, to_source_grid(scores.argmax(0), affine, source_affine, shape))
    assert labels.any()


def test_a_boundary_is_put_between_voxels_where_the_scores_cross():
    """A boundary at 2.1 working voxels, 8.4 mm, which nearest labels can only place half way between two voxels."""
    ramp = np.broadcast_to((np.arange(6.0) - 2.1)[:, None, None], (6, 4, 4))
    scores = np.stack([np.zeros_like(ramp), ramp]).astype(np.float32)
    affine, fine = np.diag([4.0, 4, 4, 1]), np.diag([1.0, 1, 1, 1])
    shape = (24, 13, 13)
    by_scores = predict(scores, grid_map(affine, fine, shape)).numpy()[:, 5, 5]
    by_labels = to_source_grid(scores.argmax(0), affine, fine, shape)[:, 5, 5]
    assert by_scores[:22].argmax() == 9
    assert by_labels[:22].argmax() == 10


def test_a_grid_far_away_is_background():
    far = np.eye(4)
    far[:3, 3] = 500
    sink = Kept(2, (3, 4, 5))
    labels = predict(np.ones((2, 4, 4, 4), np.float32), grid_map(np.eye(4), far, (3, 4, 5)), [sink])
    assert not labels.any()
    assert (sink.scores.argmax(0) == 0).all()
    assert (sink.scores[0] > sink.scores[1]).all()


def test_turned_grids_have_no_map():
    source = np.eye(4)
    source[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    assert grid_map(np.eye(4), source, (9, 9, 9)) is None

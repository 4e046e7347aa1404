"""Post-processing steps, held against flood fills that a test can be seen to do right."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from conftest import batch, tiny_segmentor_config
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medctx3d.postprocessing import (
    FillHoles,
    KeepLargestComponent,
    RemoveDetached,
    RemoveOverlaps,
    RemoveSmallComponents,
)
from medctx3d.registry import MODELS, POSTPROCESSING, component_names

AFFINE = np.array([[0, -2.0, 0, 5], [1.0, 0, 0.5, 0], [0, 0, 3.0, 0], [0, 0, 0, 1]])  # turned and sheared, 6 mm^3
VOLUMES = arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 3), elements=st.sampled_from([0, 0, 1, 1, 2, 3, 4]))
STEPS = {
    'KeepLargestComponent': KeepLargestComponent((1, 2)),
    'together': KeepLargestComponent((1, 2), together=True, connectivity=6),
    'RemoveSmallComponents': RemoveSmallComponents((1, 2), min_volume=18, connectivity=18),
    'FillHoles': FillHoles((1, 2)),
    'RemoveOverlaps': RemoveOverlaps((1, 2)),
    'RemoveDetached': RemoveDetached((1, 2), anchors=(3,)),
}


def neighbours(voxel, connectivity, shape):
    for shift in itertools.product((-1, 0, 1), repeat=3):
        if 0 < np.abs(shift).sum() <= {6: 1, 18: 2, 26: 3}[connectivity]:
            there = tuple(np.add(voxel, shift))
            if all(0 <= index < side for index, side in zip(there, shape, strict=True)):
                yield there


def flooded(mask, connectivity):
    """The components of a mask as sets of voxels, in the order of their first voxels."""
    left, found = {tuple(voxel) for voxel in np.argwhere(mask).tolist()}, []
    for start in sorted(left):
        piece, front = set(), [start] if start in left else []
        while front:
            voxel = front.pop()
            if voxel in left:
                left.remove(voxel)
                piece.add(voxel)
                front.extend(neighbours(voxel, connectivity, mask.shape))
        found += [piece] if piece else []
    return found


def solid(mask):
    """A mask and the pieces of its complement that do not reach the edge of the volume."""
    filled = np.pad(mask, 1)
    _, *holes = flooded(~filled, 6)
    for voxel in set().union(*holes):
        filled[voxel] = True
    return filled[1:-1, 1:-1, 1:-1]


def erase(labels, pieces):
    for voxel in set().union(*pieces):
        labels[voxel] = 0


def expected(name, labels):
    """What a step of STEPS must answer, straight from its description."""
    out = labels.copy()
    if name == 'KeepLargestComponent':
        for label in (1, 2):
            pieces = flooded(labels == label, 26)
            erase(out, [piece for piece in pieces if piece is not max(pieces, key=len)])
    elif name == 'together':
        pieces = flooded((labels == 1) | (labels == 2), 6)
        erase(out, [piece for piece in pieces if piece is not max(pieces, key=len)])
    elif name == 'RemoveSmallComponents':
        for label in (1, 2):
            erase(out, [piece for piece in flooded(labels == label, 18) if len(piece) < 3])
    elif name == 'FillHoles':
        for label in (1, 2):
            out[solid(out == label) & (out == 0)] = label
    elif name == 'RemoveOverlaps':
        for label in (2, 1):
            out[solid(labels == label) & np.isin(labels, (1, 2))] = label
    else:
        for piece in flooded((labels == 1) | (labels == 2), 26):
            if not any(labels[there] == 3 for voxel in piece for there in neighbours(voxel, 26, labels.shape)):
                erase(out, [piece])
    return out


@pytest.mark.parametrize('name', STEPS)
@settings(max_examples=15, deadline=None)
@given(labels=VOLUMES)
def test_a_step_equals_its_flood_fill_twice_over_and_leaves_other_classes_and_its_input_alone(name, labels):
    before = labels.copy()
    once = STEPS[name](labels, AFFINE)
    np.testing.assert_array_equal(once, expected(name, labels))
    np.testing.assert_array_equal(STEPS[name](once, AFFINE), once)
    np.testing.assert_array_equal(labels, before)
    np.testing.assert_array_equal(once[labels > 2], labels[labels > 2])
    assert set(np.unique(once)) <= {0, *np.unique(labels)}
    assert once.dtype == labels.dtype


@pytest.mark.parametrize('name', STEPS)
def test_a_volume_without_the_classes_stays(name):
    labels = np.zeros((4, 3, 2), np.int64)
    labels[1, 1, 1] = 4
    np.testing.assert_array_equal(STEPS[name](labels, AFFINE), labels)


def shell():
    """Class 1 as a closed shell of 5^3 voxels in 7^3, with a voxel of class 2 in its cavity and one at a corner."""
    labels = np.zeros((7, 7, 7), np.uint8)
    labels[1:6, 1:6, 1:6] = 1
    labels[2:5, 2:5, 2:5] = 0
    labels[3, 3, 3] = labels[6, 6, 6] = 2
    return labels


def test_a_cavity_is_filled_around_what_lies_in_it():
    labels = shell()
    filled = FillHoles((1,))(labels, AFFINE)
    assert (filled == 1).sum() == 125 - 1
    np.testing.assert_array_equal(filled == 2, labels == 2)


def test_an_enclosed_piece_changes_to_the_class_with_priority_and_the_cavity_stays():
    reassigned = RemoveOverlaps((1, 2))(shell(), AFFINE)
    assert reassigned[3, 3, 3] == 1
    assert reassigned[6, 6, 6] == 2
    assert (reassigned == 0).sum() == (shell() == 0).sum()
    np.testing.assert_array_equal(RemoveOverlaps((2, 1))(shell(), AFFINE), shell())


def test_volumes_are_in_mm3_and_the_limit_itself_stays():
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[0, 0, :2] = labels[5, 5, :3] = 1
    for spacing, limit, left in ((0.1, 0.003, 3), (10, 2000, 5), (10, 2000.1, 3), (10, 3001, 0)):
        affine = np.diag([spacing, spacing, spacing, 1])
        assert (RemoveSmallComponents((1,), min_volume=limit)(labels, affine) > 0).sum() == left


def test_every_step_of_the_package_is_under_contract():
    assert set(component_names(POSTPROCESSING)) == {type(step).__name__ for step in STEPS.values()}


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(type='FillHoles', classes=()), r'FillHoles: classes must be distinct class ids above 0.*got \(\)'),
        (dict(type='FillHoles', classes=(0, 1)), 'FillHoles: classes must be'),
        (dict(type='FillHoles', classes=(1, 1)), 'FillHoles: classes must be'),
        (dict(type='FillHoles', classes=('liver',)), 'FillHoles: classes must be'),
        (dict(type='KeepLargestComponent', classes=(1,), connectivity=8), 'connectivity must be 6, 18 or 26.*got 8'),
        (dict(type='RemoveSmallComponents', classes=(1,), min_volume=0), r'min_volume must be .* mm\^3, got 0'),
        (dict(type='RemoveOverlaps', classes=(1,)), 'two or more, by priority'),
        (dict(type='RemoveDetached', classes=(1, 2), anchors=(2,)), r'its own anchor, got \[2\]'),
        (dict(type='RemoveDetached', classes=(1, 2), anchors=()), 'RemoveDetached: anchors must be'),
    ],
)
def test_arguments_out_of_range_are_refused_with_the_rule(config, message):
    with pytest.raises(ValueError, match=message):
        POSTPROCESSING.build(config)


def test_labels_of_another_shape_or_type_are_refused():
    with pytest.raises(ValueError, match=r'must be integers \(X, Y, Z\), got float64 \(2, 2, 2\)'):
        FillHoles((1,))(np.zeros((2, 2, 2)), AFFINE)
    with pytest.raises(ValueError, match=r'\(2, 2\)'):
        FillHoles((1,))(np.zeros((2, 2), int), AFFINE)


def segment(postprocessing, *, affine=True):
    torch.manual_seed(0)
    model = MODELS.build(dict(tiny_segmentor_config(medcontext=False), postprocessing=postprocessing)).eval()
    inputs, samples = batch(count=1)
    if not affine:
        del samples[0].affine
    return model.predict(inputs, samples)[0].pred_sem_seg.data


def test_a_model_runs_its_steps_in_order_on_what_it_predicts():
    def to_class(label):
        def step(labels, affine):
            np.testing.assert_array_equal(affine, np.eye(4))
            return labels + label

        return step

    plain = segment([])
    assert len(plain.unique()) > 1
    stepped = segment([to_class(1), lambda labels, affine: labels * 2])
    assert stepped.shape == plain.shape
    assert stepped.dtype == plain.dtype
    np.testing.assert_array_equal(stepped, (plain + 1) * 2)


def test_steps_without_an_affine_are_refused():
    with pytest.raises(ValueError, match='no affine'):
        segment([dict(type='FillHoles', classes=(1,))], affine=False)

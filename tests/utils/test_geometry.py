from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from monai.transforms import Compose, CropForegroundd, Orientationd, Spacingd
from scipy import ndimage

from medctx3d.utils import geometry
from medctx3d.utils.geometry import spacing_of, to_source_grid

CODES = [''.join(code) for code in itertools.product('LR', 'AP', 'IS')]
ORIENTATIONS = [''.join(order) for code in CODES for order in itertools.permutations(code)]


def affine_for(code, spacing, origin=(10.0, -20.0, 30.0)):
    """Affine of a grid whose axes point where ``code`` says, edges in mm."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(nib.orientations.axcodes2ornt(tuple(code))):
        affine[int(world), axis] = sign * spacing[axis]
    affine[:3, 3] = origin
    return affine


def load_like_the_network(labels, affine, *, pixdim=None, crop=True):
    image = MetaTensor(labels[None].astype(np.float32), affine=affine)
    steps = [Orientationd(keys='image', axcodes='RAS', labels=(('L', 'R'), ('P', 'A'), ('I', 'S')))]
    if pixdim is not None:
        steps.append(Spacingd(keys='image', pixdim=pixdim, mode='nearest'))
    if crop:
        steps.append(CropForegroundd(keys='image', source_key='image', margin=1, allow_smaller=True))
    out = Compose(steps)({'image': image})['image']
    return out.numpy()[0].astype(np.uint8), np.asarray(out.affine)


@settings(max_examples=40, deadline=None)
@given(
    code=st.sampled_from(ORIENTATIONS),
    spacing=st.tuples(*[st.floats(0.3, 7.5)] * 3),
    seed=st.integers(0, 2**20),
)
def test_an_identity_prediction_comes_back_exactly(code, spacing, seed):
    generator = np.random.default_rng(seed)
    labels = np.zeros((11, 9, 13), np.uint8)
    labels[2:8, 1:7, 4:12] = generator.integers(0, 5, (6, 6, 8))
    affine = affine_for(code, spacing)
    working, working_affine = load_like_the_network(labels, affine)
    assert nib.aff2axcodes(working_affine) == ('R', 'A', 'S')
    np.testing.assert_array_equal(to_source_grid(working, working_affine, affine, labels.shape), labels)


def test_an_oblique_file_comes_back_exactly():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, (10, 12, 8)).astype(np.uint8)
    affine = affine_for('LPS', (1.0, 1.5, 4.0))
    affine[:3, :3] = turn(12.0) @ affine[:3, :3]
    working, working_affine = load_like_the_network(labels, affine, crop=False)
    np.testing.assert_array_equal(to_source_grid(working, working_affine, affine, labels.shape), labels)


def turn(degrees):
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])


def blob(shape, spacing):
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing='ij'), -1)
    middle = (np.asarray(shape) - 1) / 2
    return (np.linalg.norm((index - middle) * spacing, axis=-1) < 9).astype(np.uint8)


@pytest.mark.parametrize('pixdim', [(1.0, 1.0, 1.0), (1.5, 1.5, 2.0), (0.7, 0.9, 1.1)])
def test_a_resampled_identity_prediction_differs_only_along_its_border(pixdim):
    spacing = (1.2, 0.8, 2.5)
    labels = blob((22, 30, 12), spacing)
    affine = affine_for('LPS', spacing)
    working, working_affine = load_like_the_network(labels, affine, pixdim=pixdim)
    assert working.shape != labels.shape
    back = to_source_grid(working, working_affine, affine, labels.shape)
    # Two nearest-voxel steps: a value travels at most half a diagonal of each grid's voxel.
    reach = (np.linalg.norm(pixdim) + np.linalg.norm(spacing)) / 2
    inside, outside = (ndimage.distance_transform_edt(mask, sampling=spacing) for mask in (labels, 1 - labels))
    assert (back[inside > reach] == 1).all()
    assert (back[outside > reach] == 0).all()
    assert 2 * (back & labels).sum() / (back.sum() + labels.sum()) > 0.9


@settings(max_examples=25, deadline=None)
@given(
    code=st.sampled_from(ORIENTATIONS),
    spacing=st.tuples(*[st.floats(0.5, 3)] * 3),
    shift=st.tuples(*[st.floats(-4, 4)] * 3),
    degrees=st.sampled_from([0.0, 7.0, 31.0]),
)
def test_every_voxel_takes_the_nearest_one(code, spacing, shift, degrees):
    labels = np.random.default_rng(1).integers(1, 9, (7, 6, 5)).astype(np.int16)
    affine = np.diag([1.1, 0.9, 1.3, 1.0])
    source_affine = affine_for(code, spacing, origin=np.array(shift) + 2)
    source_affine[:3, :3] = turn(degrees) @ source_affine[:3, :3]
    shape = (6, 9, 8)
    out = to_source_grid(labels, affine, source_affine, shape)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing='ij'), -1)
    world = index @ source_affine[:3, :3].T + source_affine[:3, 3]
    position = (world - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    safe = (np.abs(position - np.floor(position) - 0.5) > 2e-3).all(-1)  # ties may fall either way
    nearest = np.floor(position + 0.5).astype(int)
    inside = ((nearest >= 0) & (nearest < labels.shape)).all(-1)
    expected = np.where(inside, labels[tuple(np.where(inside[..., None], nearest, 0).transpose(3, 0, 1, 2))], 0)
    np.testing.assert_array_equal(out[safe], expected[safe])
    assert out.dtype == labels.dtype


def test_slabs_do_not_change_the_answer(monkeypatch):
    labels = np.random.default_rng(2).integers(0, 9, (9, 8, 7))
    source_affine = np.eye(4)
    source_affine[:3, :3] = turn(20.0)
    whole = to_source_grid(labels, np.eye(4), source_affine, (10, 10, 10))
    monkeypatch.setattr(geometry, '_SLAB_VOXELS', 300)
    np.testing.assert_array_equal(to_source_grid(labels, np.eye(4), source_affine, (10, 10, 10)), whole)
    assert whole.any()


def test_a_grid_elsewhere_gives_background():
    far = np.eye(4)
    far[:3, 3] = 1000
    assert not to_source_grid(np.ones((4, 4, 4), int), np.eye(4), far, (5, 5, 5)).any()


def test_halving_the_resolution_keeps_the_outermost_voxels():
    """Voxels of the file whose centre lies half a working voxel out still belong to the working grid."""
    out = to_source_grid(np.ones((2, 2, 2), int), np.diag([2.0, 2, 2, 1]), np.eye(4), (4, 4, 4))
    assert out.all()


@pytest.mark.parametrize(
    ('labels', 'affine', 'words'),
    [
        (np.zeros((1, 4, 4, 4), int), np.eye(4), r'\(1, 4, 4, 4\)'),
        (np.zeros((4, 4, 4), int), np.zeros((4, 4)), 'affine must be an invertible'),
        (np.zeros((4, 4, 4), int), np.eye(3), 'affine must be an invertible'),
    ],
)
def test_input_that_is_no_volume_on_a_grid_is_refused(labels, affine, words):
    with pytest.raises(ValueError, match=words):
        to_source_grid(labels, affine, np.eye(4), (4, 4, 4))


def test_spacing_is_the_length_of_the_affine_columns():
    affine = affine_for('PSR', (0.5, 2.0, 7.5))
    affine[:3, :3] = turn(15.0) @ affine[:3, :3]
    assert spacing_of(affine) == pytest.approx((0.5, 2.0, 7.5))

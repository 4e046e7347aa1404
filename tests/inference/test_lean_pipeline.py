"""Lean loading beside MONAI's own transforms."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.data import MetaTensor
from monai.transforms import (
    Compose,
    CropForegroundd,
    NormalizeIntensityd,
    Orientationd,
    ScaleIntensityRanged,
    Spacingd,
)

from medctx3d.inference import lean_pipeline
from medctx3d.inference.air import air_value
from medctx3d.inference.lean_pipeline import run_lean

CODES = [('R', 'A', 'S'), ('L', 'P', 'S'), ('P', 'S', 'R'), ('S', 'L', 'A'), ('I', 'R', 'P')]
RAS = Orientationd(keys=['image', 'label'], axcodes='RAS', labels=None, allow_missing_keys=True)


def spacing(pixdim, **options):
    return Spacingd(
        keys=['image', 'label'], pixdim=pixdim, mode=('bilinear', 'nearest'), allow_missing_keys=True, **options
    )


def loaded(shape=(9, 11, 7), code=('L', 'P', 'S'), zooms=(1.1, 0.8, 2.5), channels=1, dtype=np.int16, seed=0):
    """A file's voxels in its memory order, as LoadVolume leaves them."""
    values = np.random.default_rng(seed).integers(-1000, 1000, (channels, *shape)).astype(dtype)
    values[:, :2] = -1000
    voxels = np.asfortranarray(values)
    affine = np.eye(4)
    affine[:3] = 0
    for axis, (into, sign) in enumerate(nib.orientations.axcodes2ornt(code)):
        affine[int(into), axis] = sign * zooms[axis]
    affine[:3, 3] = (5, -7, 3)
    meta = dict(spatial_shape=np.asarray(shape), original_affine=affine.copy(), space='RAS', original_channel_dim=0)

    def load(data):
        return dict(data, image=MetaTensor(torch.from_numpy(voxels), affine=torch.as_tensor(affine), meta=dict(meta)))

    def load_float(data):
        tensor = torch.from_numpy(voxels.astype(np.float32))
        return dict(data, image=MetaTensor(tensor, affine=torch.as_tensor(affine), meta=dict(meta)))

    return load, load_float


def assert_same(load, load_float, transforms, atol=2e-3):
    lean = run_lean([load, *transforms], dict(case='a'))['image']
    plain = Compose([load_float, *transforms])(dict(case='a'))['image']
    assert lean.dtype == torch.float32
    np.testing.assert_allclose(np.asarray(lean.affine), np.asarray(plain.affine), atol=1e-9)
    assert lean.shape == plain.shape
    torch.testing.assert_close(lean.as_tensor(), plain.as_tensor().float(), rtol=1e-5, atol=atol)


@settings(max_examples=25, deadline=None)
@given(
    code=st.sampled_from(CODES),
    zooms=st.tuples(*[st.sampled_from([0.7, 1.0, 1.5, 3.3])] * 3),
    pixdim=st.tuples(*[st.sampled_from([0.9, 1.0, 1.5, 2.0])] * 3),
    channels=st.integers(1, 2),
)
def test_the_grid_and_its_voxels_are_those_of_monai(code, zooms, pixdim, channels):
    load, load_float = loaded(code=code, zooms=zooms, channels=channels)
    assert_same(load, load_float, [RAS, spacing(pixdim)])


def test_turning_a_file_is_exact():
    load, load_float = loaded()
    lean = run_lean([load, RAS], dict(case='a'))['image']
    assert torch.equal(lean.as_tensor(), RAS(load_float({}))['image'].as_tensor())


@pytest.mark.parametrize('slab_voxels', [50, 2**22])
@pytest.mark.parametrize(
    'intensity',
    [
        ScaleIntensityRanged(keys=['image'], a_min=-175.0, a_max=250.0, b_min=0.0, b_max=1.0, clip=True),
        NormalizeIntensityd(keys=['image']),
        NormalizeIntensityd(keys=['image'], nonzero=True, channel_wise=True),
    ],
    ids=['range', 'normal', 'nonzero'],
)
def test_intensities_and_crop_are_those_of_monai(monkeypatch, intensity, slab_voxels):
    monkeypatch.setattr(lean_pipeline, '_SLAB_VOXELS', slab_voxels)
    load, load_float = loaded(channels=2, dtype=np.float32)
    crop = CropForegroundd(
        keys=['image', 'label'], source_key='image', margin=1, k_divisible=(2, 1, 1), allow_missing_keys=True
    )
    assert_same(load, load_float, [RAS, spacing((1.0, 1.0, 2.0)), intensity, crop], atol=1e-4)


def test_other_transforms_see_float_voxels_on_the_wanted_grid():
    load, _ = loaded()
    seen = {}

    def look(data):
        seen.update(shape=tuple(data['image'].shape[1:]), dtype=data['image'].dtype)
        return data

    run_lean([load, RAS, spacing((2.0, 2.0, 2.0)), look], dict(case='a'))
    plain = Compose([loaded()[1], RAS, spacing((2.0, 2.0, 2.0))])(dict(case='a'))
    assert seen == dict(shape=tuple(plain['image'].shape[1:]), dtype=torch.float32)


def test_nearest_spacing_is_left_to_monai():
    load, load_float = loaded()
    nearest = Spacingd(keys=['image'], pixdim=(2.0, 2.0, 2.0), mode='nearest')
    assert_same(load, load_float, [RAS, nearest])


@pytest.mark.parametrize(
    ('transforms', 'value'),
    [
        ([ScaleIntensityRanged(['image'], -175.0, 250.0, -1.0, 1.0, clip=True)], -1.0),
        ([ScaleIntensityRanged(['image'], -175.0, 250.0, 0.0, 1.0)], None),
        ([NormalizeIntensityd(['image'], nonzero=True)], 0.0),
        ([NormalizeIntensityd(['image'])], None),
        ([ScaleIntensityRanged(['image'], 0, 1, 0, 1, clip=True), NormalizeIntensityd(['image'])], None),
        ([RAS], None),
    ],
)
def test_air_is_known_where_the_pipeline_settles_its_value(transforms, value):
    assert air_value(transforms) == value

"""From a volume to its regions: window, body, two and three dimensions, purity."""

from __future__ import annotations

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from skimage.segmentation import felzenszwalb

from medctx3d.datasets.regions import GROWTH, PRESETS, RegionSettings, describe_regions, grow_regions

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def settings(mode='3d', **values):
    return RegionSettings(mode=mode, **{**PRESETS['ct'], **GROWTH.get(mode, GROWTH['3d']), **values})


def body_in_air(shape=(24, 20, 6), seed=0):
    """Air, a table of two voxels, and a block of noisy tissue with a bright organ and a hole of air."""
    rng = np.random.default_rng(seed)
    image = np.full(shape, -1000.0)
    image[3:20, 4:18] = rng.normal(40, 5, (17, 14, shape[2]))
    image[6:12, 6:12] = rng.normal(180, 5, (6, 6, shape[2]))
    image[15:17, 10:12] = -900
    image[5:15, 19] = 500
    return image


@pytest.mark.parametrize('mode', ['2d', '3d'])
def test_air_and_table_belong_to_no_region_and_holes_do(mode):
    regions = grow_regions(body_in_air(), AFFINE, settings(mode, min_size=4.0))
    inside = np.zeros(regions.shape, bool)
    inside[3:20, 4:18] = True
    np.testing.assert_array_equal(regions > 0, inside)
    assert regions.dtype == np.int32
    np.testing.assert_array_equal(np.unique(regions[inside]), np.arange(1, regions.max() + 1))


def test_an_organ_is_found_whole():
    regions = grow_regions(body_in_air(), AFFINE, settings(scale=2000.0, sigma=0.0, min_size=100.0))
    organ = regions[6:12, 6:12]
    assert (organ == organ[0, 0, 0]).all()
    assert (regions == organ[0, 0, 0]).sum() == organ.size


def test_slices_are_scikit_images_and_share_no_id():
    image = np.random.default_rng(0).uniform(-125, 275, (20, 16, 4))
    found = grow_regions(image, np.eye(4), settings('2d', body_above=None, scale=100.0, min_size=10.0, sigma=1.0))
    for index in range(4):
        levels = np.clip((image[..., index].astype('f4') + 125) / 400, 0, 1)
        theirs = felzenszwalb(levels, scale=100, sigma=1.0, min_size=10)
        pairs = set(zip(found[..., index].ravel().tolist(), theirs.ravel().tolist(), strict=True))
        assert len(pairs) == len(np.unique(theirs)) == len(np.unique(found[..., index]))
        assert not set(np.unique(found[..., index])) & set(np.unique(found[..., :index]))


def test_slices_lie_across_the_body_however_the_file_is_turned():
    image = np.random.default_rng(0).uniform(-125, 275, (6, 16, 20))  # first axis foot to head
    affine = np.array([[0, 0, 1.0, 0], [0, -1, 0, 0], [2.0, 0, 0, 0], [0, 0, 0, 1]])
    turned = nib.orientations.io_orientation(affine)
    options = settings('2d', body_above=None, min_size=10.0)
    found = grow_regions(image, affine, options)
    straight = grow_regions(nib.orientations.apply_orientation(image, turned), np.diag([1, 1, 2.0, 1]), options)
    counts = [len(np.unique(plane)) for plane in found]
    assert counts == [len(np.unique(straight[..., index])) for index in range(6)]


def test_scale_means_the_same_whatever_the_units():
    image = np.random.default_rng(2).normal(100, 60, (12, 12, 12))
    hounsfield = grow_regions(image, AFFINE, settings(body_above=None))
    other = grow_regions(image * 7 + 3, AFFINE, settings(body_above=None, window=(-125 * 7 + 3, 275 * 7 + 3)))
    np.testing.assert_array_equal(hounsfield, other)


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        (dict(mode='4d'), 'mode must be one of'),
        (dict(window=(5.0, 5.0)), 'growing'),
        (dict(sigma=-1.0), 'sigma must not be negative'),
        (dict(min_size=float('nan')), 'min_size must not be negative'),
    ],
)
def test_settings_out_of_range_are_named(values, words):
    with pytest.raises(ValueError, match=words):
        settings(**{'mode': '3d', **values})


def test_a_body_that_is_not_there_is_said():
    with pytest.raises(ValueError, match=r'no voxel lies above body_above=-300, the image goes from -1000 to -1000'):
        grow_regions(np.full((4, 4, 4), -1000.0), AFFINE, settings())


def test_purity_counts_majorities():
    regions = np.array([1, 1, 1, 1, 2, 2, 2, 0]).reshape(2, 2, 2)
    labels = np.array([0, 0, 0, 1, 1, 1, 0, 1]).reshape(2, 2, 2)
    facts = describe_regions(regions, (1.0, 1.0, 2.0), labels, ('background', 'organ'))
    assert facts['count'] == 2
    assert facts['volume_mm3'] == [6.0, 7.0, 8.0]
    assert facts['covered'] == 7 / 8
    assert facts['purity'] == dict(
        total=pytest.approx(5 / 7, abs=1e-4), foreground=0.5, classes=dict(organ=0.5)
    )  # of 4 voxels of the organ one lies in region 1, taken for background, and one outside


def test_regions_that_are_the_labels_are_pure_and_one_region_is_not():
    labels = np.random.default_rng(0).integers(0, 3, (5, 5, 5))
    assert describe_regions(labels + 1, (1, 1, 1), labels)['purity']['foreground'] == 1
    assert describe_regions(np.ones_like(labels), (1, 1, 1), np.maximum(labels, 0))['purity']['total'] < 0.6
    assert describe_regions(labels + 1, (1, 1, 1), np.zeros_like(labels))['purity']['foreground'] is None


def test_regions_respect_organs_of_a_real_abdomen():
    data = os.environ.get('MEDCTX3D_DATA')
    if not data:
        pytest.skip('MEDCTX3D_DATA is not set: no real volumes')
    folder = Path(data) / 'totalseg_samples'
    image = nib.load(folder / 'images' / 'ts_ct_abdomen.nii.gz')
    labels = np.asarray(nib.load(folder / 'labels' / 'ts_ct_abdomen.nii.gz').dataobj).astype(int)
    regions = grow_regions(np.asarray(image.dataobj), image.affine, settings(min_size=1000.0))
    organs = describe_regions(regions, (3, 3, 3), labels)['purity']
    shuffled = np.random.default_rng(0).permutation(labels.ravel()).reshape(labels.shape)
    assert organs['foreground'] > 0.85
    assert describe_regions(regions, (3, 3, 3), shuffled)['purity']['foreground'] < 0.2

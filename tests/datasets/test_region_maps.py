"""Region maps on disk: made once, refused when they no longer fit, and carried with the crop."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from tiny_volumes import AFFINE, LOAD, METAINFO, write_case, write_list

from medctx3d.datasets import VolumeDataset
from medctx3d.datasets.regions import RegionSettings, make_maps, plan_maps, region_map_path
from medctx3d.datasets.regions.make import make_map
from medctx3d.datasets.regions.region_map import read_sidecar, sidecar_path
from medctx3d.utils.volume_file import VolumeError

SETTINGS = RegionSettings('3d', window=(-100.0, 100.0), body_above=None, scale=10.0, sigma=0.0, min_size=60.0)
BOTH = dict(keys=['image', 'label'], allow_missing_keys=True)
ORIENTED = [LOAD[0], dict(type='monai.transforms.Orientationd', axcodes='RAS', labels=None, **BOTH)]
SPACED = [
    *ORIENTED,
    dict(type='monai.transforms.Spacingd', pixdim=(1.4, 1.5, 1.6), mode=('bilinear', 'nearest'), **BOTH),
    dict(type='monai.transforms.SpatialCropd', roi_start=(1, 2, 1), roi_end=(12, 16, 20), **BOTH),
]


@pytest.fixture
def records(tmp_path: Path) -> list[dict]:
    (tmp_path / 'images').mkdir()
    return [write_case(tmp_path / 'images', f'case{number}', seed=number) for number in range(3)]


def plan(records, folder='beside', settings=SETTINGS, **options):
    return plan_maps(records, str(folder), settings, metainfo=METAINFO, **options)


def make_all(records, folder='beside', workers=1, **options):
    waiting, _ = plan(records, folder, **options)
    make_maps(waiting, workers, progress=False)
    return [(job, read_sidecar(job.path)) for job in waiting]


def dataset(records, tmp_path, region_maps='beside', **options):
    listing = write_list(tmp_path, records)
    values = dict(load_pipeline=LOAD, pipeline=[dict(type='PackVolume')], metainfo=METAINFO, region_maps=region_maps)
    return VolumeDataset(listing, **{**values, **options})


def test_maps_lie_in_a_folder_beside_the_images_on_their_grid(records):
    for job, facts in make_all(records):
        assert job.path.parent.name == 'images_regions'
        image, found = nib.load(job.record['image']), nib.load(job.path)
        np.testing.assert_array_equal(found.affine, image.affine)
        assert found.get_data_dtype() == np.int32
        assert facts['count'] == np.asarray(found.dataobj).max() > 3
        assert set(facts['purity']['classes']) == {'large', 'small'}


def test_a_second_run_makes_nothing_and_an_unfinished_or_outdated_map_is_made_again(records):
    make_all(records)
    waiting, kept = plan(records)
    assert (len(waiting), len(kept)) == (0, 3)
    sidecar_path(kept[0].path).write_text('{"unfinished": true}')
    image = nib.load(records[1]['image'])
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) + 1, image.affine), records[1]['image'])
    kept[2].path.write_bytes(kept[2].path.read_bytes()[:-5])
    waiting, kept = plan(records)
    assert (len(waiting), len(kept)) == (3, 0)


def test_workers_make_the_same_maps(records, tmp_path):
    make_all(records, tmp_path / 'one')
    make_all(records, tmp_path / 'two', workers=2)
    for record in records:
        maps = [nib.load(region_map_path(record, tmp_path / name)).dataobj for name in ('one', 'two')]
        np.testing.assert_array_equal(*map(np.asarray, maps))


def test_maps_of_other_settings_are_in_the_way_until_they_may_be_replaced(records):
    make_all(records)
    other = RegionSettings('3d', window=(-100.0, 100.0), body_above=None, scale=10.0, sigma=0.0, min_size=90.0)
    with pytest.raises(ValueError, match=r'min_size 60.0, not 90.0.*--overwrite'):
        plan(records, settings=other)
    assert len(plan(records, settings=other, overwrite=True)[0]) == 3


def test_a_foreign_map_is_not_replaced_by_accident(records):
    path = region_map_path(records[0])
    path.parent.mkdir()
    nib.save(nib.Nifti1Image(np.ones((20, 18, 16), np.int32), AFFINE), path)
    with pytest.raises(ValueError, match=r'has no sidecar case0.json.*--overwrite'):
        plan(records)


def test_a_volume_that_cannot_be_used_is_named_and_leaves_no_map(records, tmp_path):
    settings = RegionSettings('3d', window=(-100.0, 100.0), body_above=9000.0, scale=1.0, sigma=0.0, min_size=1.0)
    with pytest.raises(ValueError, match=r'case0_image.nii.gz: no voxel lies above'):
        make_map(plan(records, tmp_path / 'maps', settings=settings)[0][0])
    assert not (tmp_path / 'maps').exists()


@pytest.mark.parametrize('stored', [False, True])
def test_regions_come_with_every_volume_through_orientation_and_store(records, tmp_path, stored):
    jobs = [job for job, _ in make_all(records)]
    store = dict(type='PreparedStore', root=str(tmp_path / 'store'), num_workers=0) if stored else None
    for index, sample in enumerate(dataset(records, tmp_path, store=store)):
        regions = sample['data_samples'].gt_regions
        stored_map = np.asarray(nib.load(jobs[index].path).dataobj)
        np.testing.assert_array_equal(regions.data[0].numpy(), stored_map[::-1])  # the first axis points left
        assert regions.data.dtype == torch.int32
        np.testing.assert_array_equal(regions.affine, sample['data_samples'].affine)


def test_regions_follow_resampling_and_cropping_as_labels_do(records, tmp_path):
    for record in records:  # the label as a region map: both must come out alike
        path = region_map_path(record, tmp_path / 'maps')
        path.parent.mkdir(exist_ok=True)
        label = nib.load(record['label'])
        nib.save(nib.Nifti1Image(np.asarray(label.dataobj).astype(np.int32), label.affine), path)
    for sample in dataset(records, tmp_path, 'maps', load_pipeline=SPACED):
        found = sample['data_samples']
        assert found.gt_regions.data.unique().tolist() == [0, 1, 2]
        agree = (found.gt_regions.data == found.gt_sem_seg.data).float().mean()
        assert agree == 1  # no voxel of this spacing lies halfway between two


def test_regions_follow_crops_and_mirrors_exactly(records, tmp_path):
    make_all(records)
    pipeline = [
        dict(type='ForegroundCrop', size=(24, 10, 12)),  # padded along the first axis
        dict(type='RandMirror', prob=0.5),
        dict(type='monai.transforms.RandGaussianNoised', keys=['image'], prob=1.0, std=5.0),
        dict(type='PackVolume'),
    ]
    draws = dataset(records, tmp_path, pipeline=pipeline, crops_per_volume=6)
    whole = dataset(records, tmp_path)
    for index, sample in enumerate(draws):
        crop, full = sample['data_samples'], whole[index // 6]['data_samples']
        pairs = {
            (region, label)
            for region, label in zip(
                crop.gt_regions.data.flatten().tolist(), crop.gt_sem_seg.data.flatten().tolist(), strict=True
            )
        }
        everywhere = set(
            zip(full.gt_regions.data.flatten().tolist(), full.gt_sem_seg.data.flatten().tolist(), strict=True)
        )
        assert pairs - {(0, 0)} <= everywhere
        assert crop.gt_regions.data.unique().numel() > 3


def test_unlabelled_volumes_bring_their_regions(records, tmp_path):
    make_all(records)
    volumes = dataset(records, tmp_path, cases=('case0',), unlabelled_split='training', load_pipeline=ORIENTED)
    labelled = ['gt_sem_seg' in sample['data_samples'] for sample in volumes]
    assert labelled == [True, False, False]
    assert all('gt_regions' in sample['data_samples'] for sample in volumes)


def test_a_missing_map_is_named(records, tmp_path):
    make_all(records[:2])
    with pytest.raises(FileNotFoundError, match=r"case2.nii.gz: case 'case2' has no region map.*superpixels.py"):
        dataset(records, tmp_path)


def test_a_map_of_another_shape_is_refused(records, tmp_path):
    make_all(records)
    path = region_map_path(records[1])
    nib.save(nib.Nifti1Image(np.ones((20, 18, 15), np.int32), AFFINE), path)
    with pytest.raises(VolumeError, match=r'case1.nii.gz: the region map must have the shape of its image'):
        dataset(records, tmp_path)


def test_a_map_of_an_earlier_image_is_refused_and_that_of_a_copied_one_is_not(records, tmp_path):
    make_all(records)
    os.utime(records[0]['image'], (1, 1))  # copied: another time, the same content
    dataset(records, tmp_path)
    image = nib.load(records[0]['image'])
    voxels = np.asarray(image.dataobj)
    nib.save(nib.Nifti1Image(voxels + np.int16(1), image.affine), records[0]['image'])
    with pytest.raises(VolumeError, match=r'made of another version of .*case0_image.nii.gz'):
        dataset(records, tmp_path)


def test_a_map_of_another_tool_must_not_be_older_than_its_image(records, tmp_path):
    make_all(records)
    for record in records:
        sidecar_path(region_map_path(record)).unlink()
    dataset(records, tmp_path)
    os.utime(region_map_path(records[0]), (1, 1))
    with pytest.raises(VolumeError, match=r'case0.nii.gz: the region map is older than its image'):
        dataset(records, tmp_path)


@pytest.mark.parametrize(
    ('content', 'words'),
    [('{', 'is not JSON'), ('{}', 'lacks'), ('{"unfinished": true}', 'left unfinished')],
)
def test_damaged_and_unfinished_sidecars_are_refused(records, tmp_path, content, words):
    make_all(records)
    sidecar_path(region_map_path(records[0])).write_text(content)
    with pytest.raises(VolumeError, match=words):
        dataset(records, tmp_path)


def test_a_truncated_map_is_refused(records, tmp_path):
    make_all(records)
    path = region_map_path(records[0])
    known = read_sidecar(path)
    sidecar_path(path).write_text(json.dumps(known | dict(map_bytes=known['map_bytes'] + 1)))
    with pytest.raises(VolumeError, match='bytes that its sidecar states'):
        dataset(records, tmp_path)


def test_a_map_of_fractions_is_refused(records, tmp_path):
    make_all(records)
    nib.save(nib.Nifti1Image(np.ones((20, 18, 16), np.float32), AFFINE), region_map_path(records[0]))
    with pytest.raises(VolumeError, match='one whole number a voxel'):
        dataset(records, tmp_path)


def test_a_transform_that_would_leave_the_regions_behind_is_refused(records, tmp_path):
    make_all(records)
    turn = dict(type='monai.transforms.RandRotate90d', keys=['image', 'label'])
    with pytest.raises(ValueError, match=r"RandRotate90d.*add 'regions' to keys"):
        dataset(records, tmp_path, pipeline=[turn, dict(type='PackVolume')])
    turn = dict(turn, keys=['image', 'label', 'regions'], prob=1.0)
    assert 'gt_regions' in dataset(records, tmp_path, pipeline=[turn, dict(type='PackVolume')])[0]['data_samples']


def test_interpolated_ids_are_refused_when_packed(records, tmp_path):
    make_all(records)
    scale = dict(type='monai.transforms.ScaleIntensityd', keys=['regions'])
    with pytest.raises(RuntimeError, match='regions hold fractions'):
        dataset(records, tmp_path, pipeline=[scale, dict(type='PackVolume')])[0]


def test_another_map_prepares_the_volume_again(records, tmp_path):
    make_all(records)
    store = dict(type='PreparedStore', root=str(tmp_path / 'store'), num_workers=0)
    before = dataset(records, tmp_path, store=store)[0]['data_samples'].gt_regions.data
    other = RegionSettings('3d', window=(-100.0, 100.0), body_above=None, scale=10.0, sigma=0.0, min_size=300.0)
    make_all(records, settings=other, overwrite=True)
    after = dataset(records, tmp_path, store=store)[0]['data_samples'].gt_regions.data
    assert after.max() < before.max()
    assert 'gt_regions' not in dataset(records, tmp_path, None, store=store)[0]['data_samples']

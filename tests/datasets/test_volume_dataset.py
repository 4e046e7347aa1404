from __future__ import annotations

import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from tiny_volumes import LOAD, METAINFO, write_case, write_list

from medctx3d.datasets import VolumeDataset, volume_dataset
from medctx3d.datasets.transforms import foreground_crop
from medctx3d.registry import DATASETS
from medctx3d.utils.volume_file import VolumeError

PIPELINE = [
    dict(type='ForegroundCrop', size=(8, 8, 8)),
    dict(type='RandMirror', prob=0.5),
    dict(type='monai.transforms.RandGaussianNoised', keys=['image'], prob=0.5),
    dict(type='PackVolume'),
]


@pytest.fixture
def ann_file(tmp_path: Path) -> str:
    return write_list(tmp_path, [write_case(tmp_path, f'case{number}', seed=number) for number in range(3)])


@pytest.fixture
def store(tmp_path: Path) -> dict:
    return dict(type='PreparedStore', root=str(tmp_path / 'store'), num_workers=0)


def make(ann_file: str, **options: object) -> VolumeDataset:
    return VolumeDataset(ann_file, **{**dict(load_pipeline=LOAD, pipeline=PIPELINE, metainfo=METAINFO), **options})


def same(one: dict, other: dict) -> bool:
    return torch.equal(one['inputs'], other['inputs']) and torch.equal(
        one['data_samples'].gt_sem_seg.data, other['data_samples'].gt_sem_seg.data
    )


def test_draw_is_a_packed_crop(ann_file, store):
    sample = make(ann_file, store=store)[0]
    assert sample['inputs'].shape == (1, 8, 8, 8)
    assert sample['data_samples'].gt_sem_seg.data.shape == (1, 8, 8, 8)
    assert sample['data_samples'].case == 'case0'
    assert sample['data_samples'].source_shape == (20, 18, 16)


def test_whole_volume_comes_out_as_loaded(ann_file, store):
    sample = make(ann_file, store=store, pipeline=[dict(type='PackVolume')], test_mode=True)[1]
    label = nib.load(sample['data_samples'].label_path).get_fdata()[::-1]  # the file's first axis points left
    np.testing.assert_array_equal(sample['data_samples'].gt_sem_seg.data[0], label)


def test_without_a_store_draws_are_the_same(ann_file, store):
    stored, direct = make(ann_file, store=dict(store, image_dtype='float32')), make(ann_file)
    for draw in (0, 1, 5, 9):
        assert same(stored[draw], direct[draw])


def test_a_draw_repeats_exactly_whatever_came_before(ann_file, store):
    one, other = make(ann_file, store=store), make(ann_file, store=store)
    first = one[4]
    for draw in (2, 7, 0):
        other[draw]
    assert same(other[4], first)
    assert same(one[4], first)


def test_epochs_seeds_and_neighbours_differ(ann_file, store):
    dataset, reseeded = make(ann_file, store=store), make(ann_file, store=store, seed=1)
    assert dataset[0]['data_samples'].case == dataset[3]['data_samples'].case
    assert not same(dataset[0], dataset[3])
    assert not same(dataset[0], dataset[6])
    assert not same(dataset[0], reseeded[0])


def test_crops_per_volume_lengthens_the_epoch(ann_file, store):
    dataset = make(ann_file, store=store, crops_per_volume=2)
    assert len(dataset) == 6
    assert [dataset[draw]['data_samples'].case for draw in (0, 1, 2, 5, 6)] == [
        'case0',
        'case0',
        'case1',
        'case2',
        'case0',
    ]
    assert not same(dataset[0], dataset[1])


def test_loop_over_the_dataset_ends_after_one_epoch(ann_file, store):
    dataset = make(ann_file, store=store)
    assert [sample['data_samples'].case for sample in dataset] == ['case0', 'case1', 'case2']


def test_negative_index_counts_from_the_end(ann_file, store):
    dataset = make(ann_file, store=store)
    assert same(dataset[-1], dataset[2])
    with pytest.raises(IndexError):
        dataset[-4]


def test_config_builds_it_and_lazy_init_waits(ann_file, store, tmp_path):
    config = dict(
        type='VolumeDataset',
        ann_file='dataset.json',
        data_root=str(tmp_path),
        load_pipeline=LOAD,
        pipeline=PIPELINE,
        store=store,
        metainfo=METAINFO,
        lazy_init=True,
    )
    with DefaultScope.overwrite_default_scope('medctx3d'):
        dataset = DATASETS.build(config)
    assert not Path(store['root']).exists()
    assert len(dataset) == 3
    assert Path(store['root']).exists()
    assert dataset.metainfo['classes'] == METAINFO['classes']


def test_header_that_breaks_a_rule_stops_before_anything_is_prepared(ann_file, store, tmp_path):
    label = np.zeros((20, 18, 15), np.uint8)
    nib.save(nib.Nifti1Image(label, nib.load(tmp_path / 'case2_label.nii.gz').affine), tmp_path / 'case2_label.nii.gz')
    with pytest.raises(VolumeError, match='case2_label'):
        make(ann_file, store=store)
    assert not Path(store['root']).exists()


def test_failing_transform_names_the_case_and_keeps_its_words(ann_file, store):
    def fail(data: dict) -> dict:
        raise ArithmeticError('three is not four')

    dataset = make(ann_file, store=store, pipeline=[fail])
    with pytest.raises(RuntimeError, match=r"case 'case1'.*ArithmeticError: three is not four"):
        dataset[1]


def test_file_that_breaks_between_draws_is_named_not_replaced_by_another(ann_file, tmp_path):
    dataset = make(ann_file)
    (tmp_path / 'case1_image.nii.gz').unlink()
    with pytest.raises(FileNotFoundError, match='case1_image'):
        dataset[1]


def test_small_volume_is_announced_once_per_dataset(ann_file, store, monkeypatch):
    said = []
    monkeypatch.setattr(foreground_crop, 'print_log', lambda message, **_: said.append(message))
    dataset = make(ann_file, store=store, pipeline=[dict(type='ForegroundCrop', size=(8, 8, 24)), PIPELINE[-1]])
    assert len(said) == 1
    for draw in range(4):
        assert dataset[draw]['inputs'].shape == (1, 8, 8, 24)
    assert len(said) == 1
    assert 'case0' in said[0]


def test_unlabelled_cases_pass_through(tmp_path, store):
    record = write_case(tmp_path, 'case0', seed=0)
    del record['label']
    (tmp_path / 'dataset.json').write_text(f'{{"test": [{{"image": "{record["image"]}"}}]}}')
    load = [LOAD[0], dict(LOAD[1], allow_missing_keys=True), LOAD[2]]
    dataset = make(str(tmp_path / 'dataset.json'), split='test', load_pipeline=load, store=store)
    sample = dataset[0]
    assert 'gt_sem_seg' not in sample['data_samples']
    assert sample['inputs'].shape == (1, 8, 8, 8)


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(crops_per_volume=0), ValueError, 'crops_per_volume'),
        (dict(seed=-1), ValueError, 'seed'),
        (dict(load_pipeline=[*LOAD, PIPELINE[0]]), ValueError, 'ForegroundCrop, which is random'),
        (dict(load_pipeline=[dict(keys='image')]), TypeError, r'pipeline\[0\] must name'),
        (dict(pipeline=['PackVolume']), TypeError, r'pipeline\[0\] must be dict'),
        (dict(pipeline=[dict(type='RandMirror', porb=0.1)]), TypeError, "'porb'.*'prob'"),
        (dict(pipeline=[dict(type='RandMiror')]), KeyError, 'RandMirror'),
    ],
)
def test_bad_arguments_are_refused_before_any_file_is_read(options, error, message):
    with pytest.raises(error, match=message):
        make('no_such_file.json', **options)


def test_other_list_formats_are_a_subclass_away(tmp_path):
    records = [write_case(tmp_path, 'mine', seed=0)]

    class Listed(volume_dataset.VolumeDataset):
        def load_data_list(self) -> list[dict]:
            return records

    dataset = Listed(load_pipeline=LOAD, pipeline=PIPELINE, metainfo=METAINFO)
    assert dataset[0]['data_samples'].case == 'mine'


@pytest.mark.skipif('MEDCTX3D_DATA' not in os.environ, reason='MEDCTX3D_DATA does not name the folder of real volumes')
def test_real_hippocampi_are_prepared_and_cropped(tmp_path):
    dataset = VolumeDataset(
        'dataset.json',
        os.path.join(os.environ['MEDCTX3D_DATA'], 'msd_hippocampus'),
        split='validation',
        load_pipeline=[*LOAD[:2], dict(type='monai.transforms.NormalizeIntensityd', keys=['image'])],
        pipeline=[dict(type='ForegroundCrop', size=(32, 32, 32), neg=0), dict(type='PackVolume')],
        store=dict(type='PreparedStore', root=str(tmp_path)),
        metainfo=dict(classes=('background', 'anterior', 'posterior')),
    )
    assert len(dataset) == 31
    for sample in dataset:
        assert sample['inputs'].shape == (1, 32, 32, 32)
        assert sample['data_samples'].gt_sem_seg.data.sum() > 0
        assert abs(float(sample['inputs'].mean())) < 3

"""Volumes without labels, and volumes that a crop does not fit into."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tiny_volumes import LOAD, write_case, write_list

from medctx3d.datasets import PairedFolderDataset, VolumeDataset
from medctx3d.datasets.transforms import ForegroundCrop

LEVELS = dict(classes=('level_0', 'level_1'))
CROP = dict(type='ForegroundCrop', size=(16, 16, 16), small='refuse')
IMAGES = [dict(LOAD[0]), dict(LOAD[2])]


@pytest.fixture
def store(tmp_path: Path) -> dict:
    return dict(type='PreparedStore', root=str(tmp_path / 'store'), num_workers=0)


def make(listed: str, **options: object) -> VolumeDataset:
    defaults = dict(load_pipeline=IMAGES, pipeline=[CROP, dict(type='PackVolume')], metainfo=LEVELS)
    return VolumeDataset(listed, **{**defaults, 'read_labels': False, **options})


def test_labels_are_neither_read_nor_needed(tmp_path, store):
    records = [write_case(tmp_path, f'case{number}', seed=number) for number in range(2)]
    Path(records[0]['label']).write_bytes(b'no volume')  # nobody looks
    del records[1]['label']
    dataset = make(write_list(tmp_path, records), store=store)
    assert len(dataset) == 2
    for sample in dataset:
        assert sample['inputs'].shape == (1, 16, 16, 16)
        assert 'gt_sem_seg' not in sample['data_samples']


def test_a_list_called_unlabelled_needs_no_labels_either(tmp_path, store):
    image = write_case(tmp_path, 'case0', seed=0)['image']
    (tmp_path / 'images.json').write_text(json.dumps(dict(unlabelled=[image])))
    dataset = make(str(tmp_path / 'images.json'), split='unlabelled', read_labels=True, store=store)
    assert 'gt_sem_seg' not in dataset[0]['data_samples']


def test_a_folder_of_images_is_a_data_set(tmp_path):
    (tmp_path / 'data' / 'images').mkdir(parents=True)
    shutil.move(write_case(tmp_path, 'case0', seed=0)['image'], tmp_path / 'data' / 'images' / 'case0.nii.gz')
    settings = dict(load_pipeline=IMAGES, pipeline=[dict(type='PackVolume')], metainfo=LEVELS)
    dataset = PairedFolderDataset(data_root=str(tmp_path / 'data'), read_labels=False, **settings)
    assert [sample['data_samples'].case for sample in dataset] == ['case0']
    with pytest.raises(FileNotFoundError, match='labels'):
        PairedFolderDataset(data_root=str(tmp_path / 'data'), **settings)


@pytest.mark.parametrize('part', [(0.5, 0.5), (-0.1, 1.0), (0.0, 1.1)])
def test_a_part_that_is_none_is_refused(part):
    with pytest.raises(ValueError, match='part must be'):
        make('list.json', part=part, lazy_init=True)


def test_volumes_that_are_too_small_are_named_with_the_crop_that_fits_before_training(tmp_path, store):
    shapes = {'small': (20, 12, 16), 'large': (24, 24, 24), 'flat': (20, 18, 10)}
    listed = write_list(tmp_path, [write_case(tmp_path, case, 0, shape) for case, shape in shapes.items()])
    message = (
        r'crop of \(16, 16, 16\) voxels, 2 of 3 are: small \(20, 12, 16\), flat \(20, 18, 10\)\. '
        r'Crops of up to \(20, 12, 10\) fit into all: set size of ForegroundCrop'
    )
    with pytest.raises(ValueError, match=message):
        make(listed, store=store)
    with pytest.raises(ValueError, match=message):  # without a store, when tools/train.py looks at every volume
        make(listed).prepare_volumes()
    with pytest.raises(RuntimeError, match=r'1 of 1 are: small'):  # unlooked at, at the first draw
        make(listed)[0]
    fitting = dict(CROP, size=(16, 12, 10))
    assert make(listed, store=store, pipeline=[fitting, dict(type='PackVolume')])[2]['inputs'].shape == (1, 16, 12, 10)


def test_what_to_do_about_small_volumes_is_one_of_two():
    assert ForegroundCrop((8, 8, 8)).small == 'pad'
    with pytest.raises(ValueError, match="small must be 'pad' or 'refuse', got 'skip'"):
        ForegroundCrop((8, 8, 8), small='skip')

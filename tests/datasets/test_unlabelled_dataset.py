"""Images without labels, wherever they lie."""

import json
import shutil

import pytest
from mmengine.config import Config
from tiny_volumes import LOAD, METAINFO, write_case

from medctx3d.apis.splits import check_config_splits
from medctx3d.datasets import UnlabelledDataset, VolumeDataset

CROPS = [dict(type='ForegroundCrop', size=(8, 8, 8)), dict(type='PackVolume')]
BARE = [dict(step, allow_missing_keys=True) if 'keys' in step else step for step in LOAD]


@pytest.fixture
def folder(tmp_path):
    """Two images at the top, one below, their labels beside them."""
    (tmp_path / 'more').mkdir()
    for number, place in enumerate((tmp_path, tmp_path, tmp_path / 'more')):
        write_case(place, f'case{number}', number)
    return tmp_path


def names(dataset):
    return [record['case'] for record in dataset.data_list]


def test_a_pattern_of_any_depth_finds_images_and_no_label_is_read(folder):
    dataset = UnlabelledDataset('**/*_image.nii.gz', str(folder), load_pipeline=BARE, pipeline=CROPS)
    assert names(dataset) == ['case0_image', 'case1_image', 'case2_image']
    packed = [dataset[draw] for draw in range(3)]
    assert all(sample['inputs'].shape == (1, 8, 8, 8) for sample in packed)
    assert not any('gt_sem_seg' in sample['data_samples'] for sample in packed)


def test_inputs_that_overlap_count_once(folder):
    dataset = UnlabelledDataset(
        ['*_image.nii.gz', 'case1_image.nii.gz', 'more'], str(folder), load_pipeline=BARE, pipeline=CROPS
    )
    assert names(dataset) == ['case0_image', 'case1_image', 'case2_image', 'case2_label']


def test_two_images_of_one_name_are_refused(folder):
    shutil.copy(folder / 'case0_image.nii.gz', folder / 'more')
    with pytest.raises(ValueError, match=r'a name of its own, these share theirs: case0_image .*"case"'):
        UnlabelledDataset('**/*_image.nii.gz', str(folder), load_pipeline=BARE, pipeline=CROPS)


@pytest.mark.parametrize(
    ('images', 'message'), [((), 'must name a file'), ('*.mha', r'the pattern .*\*\.mha matches no')]
)
def test_inputs_without_an_image_are_refused(images, message, folder):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        UnlabelledDataset(images, str(folder), load_pipeline=BARE, pipeline=CROPS)


def test_a_list_can_be_read_for_its_images_alone(folder, tmp_path):
    records = [
        dict(case=f'case{n}', image=str(folder / f'case{n}_image.nii.gz'), label='absent.nii.gz') for n in (0, 1)
    ]
    path = tmp_path / 'dataset.json'
    path.write_text(json.dumps(dict(training=[dict(record, label=record['image']) for record in records])))
    dataset = VolumeDataset(str(path), read_labels=False, load_pipeline=BARE, pipeline=CROPS, metainfo=METAINFO)
    assert len(dataset) == 2
    assert dataset.labelled_draws() == ([], [0, 1])
    assert 'gt_sem_seg' not in dataset[0]['data_samples']


def test_a_volume_smaller_than_the_crop_is_refused_where_padding_is_off(folder):
    crops = [dict(type='ForegroundCrop', size=(8, 32, 8), small='refuse'), dict(type='PackVolume')]
    store = dict(type='PreparedStore', root=str(folder / 'store'))
    with pytest.raises(ValueError, match=r'case0_image \(20, 18, 16\).* Crops of up to \(20, 18, 16\) fit'):
        UnlabelledDataset('*_image.nii.gz', str(folder), load_pipeline=BARE, pipeline=crops, store=store)


def test_a_transform_that_reads_the_whole_volume_gets_memory_of_its_own(folder):
    resize = [dict(type='monai.transforms.Resized', keys=['image'], spatial_size=(4, 4, 4)), dict(type='PackVolume')]
    store = dict(type='PreparedStore', root=str(folder / 'store'))
    dataset = UnlabelledDataset('*_image.nii.gz', str(folder), load_pipeline=BARE, pipeline=resize, store=store)
    record = dataset.data_list[0]
    assert dataset._sample(record)['image'].flags.writeable
    assert dataset[0]['inputs'].shape == (1, 4, 4, 4)


@pytest.mark.parametrize('kind', ['images', 'list'])
def test_a_training_on_images_alone_passes_the_checks_that_come_before_it(kind, folder):
    dataset = dict(type='UnlabelledDataset', images='**/*_image.nii.gz', data_root=str(folder))
    if kind == 'list':
        (folder / 'dataset.json').write_text(json.dumps(dict(training=[dict(image='case0_image.nii.gz')])))
        dataset = dict(type='VolumeDataset', ann_file='dataset.json', data_root=str(folder), read_labels=False)
    config = Config(dict(train_dataloader=dict(dataset=dict(dataset, load_pipeline=BARE, pipeline=CROPS))))
    (checked,) = check_config_splits(config)
    assert len(checked.data_list) == (3 if kind == 'images' else 1)

from __future__ import annotations

import pytest
import torch

from medctx3d.datasets import VolumeDataset
from medctx3d.datasets.transforms import RandMirror, mirror
from medctx3d.datasets.transforms import rand_mirror as module
from medctx3d.datasets.transforms.rand_mirror import sided

SIDED = dict(
    classes=('background', 'liver', 'right kidney', 'left kidney'), mirror_pairs=[('right kidney', 'left kidney')]
)
PLAIN = dict(classes=('background', 'liver', 'bright spot'))


@pytest.fixture
def said(monkeypatch) -> list[str]:
    messages: list[str] = []
    monkeypatch.setattr(module, 'print_log', lambda message, **_: messages.append(message))
    return messages


def make_sample(dtype: torch.dtype = torch.uint8) -> dict:
    """Patient's left is low x: left kidney (3) at x = 1, right kidney (2) at x = 6, liver (1) at x = 5."""
    label = torch.zeros(1, 8, 6, 4, dtype=dtype)
    label[0, 1, 2, 2], label[0, 6, 2, 2], label[0, 5, 4, 1] = 3, 2, 1
    return dict(image=torch.arange(2 * 192.0).reshape(2, 8, 6, 4), label=label, case='a')


@pytest.mark.parametrize('dtype', [torch.uint8, torch.int16, torch.int64])
def test_left_right_flip_keeps_each_kidney_on_its_side(dtype):
    sample = make_sample(dtype)
    flipped = RandMirror(1.0, (0,), metainfo=SIDED)(sample)
    torch.testing.assert_close(flipped['image'], sample['image'].flip(1))
    assert flipped['label'][0, 1, 2, 2] == 3
    assert flipped['label'][0, 6, 2, 2] == 2
    assert flipped['label'][0, 2, 4, 1] == 1
    assert flipped['label'].dtype == dtype
    assert int(flipped['label'].sum()) == 6


@pytest.mark.parametrize('axis', [1, 2])
def test_other_flips_leave_class_ids_alone(axis):
    sample = make_sample()
    flipped = RandMirror(1.0, (axis,), metainfo=SIDED)(sample)
    torch.testing.assert_close(flipped['image'], sample['image'].flip(axis + 1))
    torch.testing.assert_close(flipped['label'], sample['label'].flip(axis + 1))


@pytest.mark.parametrize('axes', [(0,), (1, 2), (0, 1, 2)])
def test_mirroring_twice_changes_nothing(axes):
    sample = make_sample()
    image, label = mirror(*mirror(sample['image'], sample['label'], axes, [(2, 3)]), axes, [(2, 3)])
    torch.testing.assert_close(image, sample['image'])
    torch.testing.assert_close(label, sample['label'])


def test_sample_given_is_not_changed():
    sample = make_sample()
    image, label = sample['image'].clone(), sample['label'].clone()
    RandMirror(1.0, metainfo=SIDED)(sample)
    torch.testing.assert_close(sample['image'], image)
    torch.testing.assert_close(sample['label'], label)


def test_sided_classes_without_pairs_are_never_flipped_left_to_right_and_it_is_said_once(said):
    transform = RandMirror(1.0, metainfo=dict(classes=SIDED['classes']))
    for _ in range(5):
        transform(make_sample())
        assert transform.flipped == (1, 2)
    assert len(said) == 1
    assert "'right kidney'" in said[0]
    assert 'mirror_pairs' in said[0]


def test_one_sided_class_outside_the_pairs_suffices(said):
    metainfo = dict(SIDED, classes=(*SIDED['classes'], 'left adrenal gland'))
    assert RandMirror(metainfo=metainfo).axes == (1, 2)
    assert "'left adrenal gland'" in said[0]
    assert 'kidney' not in said[0].partition('would')[0]


@pytest.mark.parametrize('name', ['left_kidney', 'Kidney-Left', 'kidney_r', 'parotid L', 'RIGHT LUNG', 'leftlung'])
def test_sided_names_are_recognised(said, name):
    assert 0 not in RandMirror(metainfo=dict(classes=('background', name))).axes


@pytest.mark.parametrize('name', ['bright spot', 'vertebra L1', 'cleft', 'liver', 'colon'])
def test_unsided_names_are_not_taken_for_sided(said, name):
    assert RandMirror(metainfo=dict(classes=('background', name))).axes == (0, 1, 2)
    assert said == []


def test_each_axis_is_flipped_with_its_own_probability():
    transform = RandMirror(0.2, metainfo=PLAIN)
    transform.set_random_state(0)
    counts = [0, 0, 0]
    for _ in range(1000):
        transform.randomize()
        for axis in transform.flipped:
            counts[axis] += 1
    assert all(150 < count < 250 for count in counts)


def test_unlabelled_volume_is_flipped_too():
    sample = make_sample()
    flipped = RandMirror(1.0, metainfo=PLAIN)(dict(image=sample['image']))
    torch.testing.assert_close(flipped['image'], sample['image'].flip(1, 2, 3))
    assert 'label' not in flipped


def test_no_probability_means_no_flip():
    sample = make_sample()
    assert RandMirror(0.0, metainfo=SIDED)(sample)['image'] is sample['image']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(prob=1.5, metainfo=PLAIN), 'prob'),
        (dict(axes=(0, 3), metainfo=PLAIN), 'axes'),
        (dict(axes=(1, 1), metainfo=PLAIN), 'axes'),
        (dict(metainfo=dict(SIDED, mirror_pairs=[('right kidney', 'left kidny')])), 'left kidny.*left kidney'),
        (dict(metainfo=dict(SIDED, mirror_pairs=[('liver', 'liver')])), 'two different'),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandMirror(**arguments)


@pytest.mark.parametrize('name', ['left_kidney', 'kidney_r', 'KidneyLeft', 'kidneyL', 'LKidney', 'L adrenal'])
def test_a_side_in_a_name_is_seen_however_it_is_written(name):
    assert sided(['background', name, 'liver', 'gallbladder', 'stomach', 'colon', 'Liver']) == [name]


@pytest.mark.parametrize(
    'flip',
    [
        dict(type='monai.transforms.RandFlipd', keys=['image', 'label'], spatial_axis=0),
        dict(type='monai.transforms.RandFlipd', keys=['image', 'label']),
        dict(type='monai.transforms.RandAxisFlipd', keys=['image', 'label']),
    ],
)
def test_flips_that_know_no_sides_are_refused_for_sided_classes(flip):
    arguments = dict(pipeline=[flip], lazy_init=True)
    with pytest.raises(ValueError, match=r'use dict.*RandMirror'):
        VolumeDataset(metainfo=dict(classes=('background', 'left_kidney')), **arguments)
    VolumeDataset(metainfo=dict(classes=('background', 'liver')), **arguments)
    harmless = [dict(type='monai.transforms.RandFlipd', keys=['image', 'label'], spatial_axis=1)]
    VolumeDataset(metainfo=dict(classes=('background', 'left_kidney')), pipeline=harmless, lazy_init=True)

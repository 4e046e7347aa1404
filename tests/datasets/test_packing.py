from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from medctx3d.datasets.transforms import PackVolume
from medctx3d.structures import VolumeDataSample


def make_sample() -> dict:
    return dict(
        image=np.random.default_rng(0).normal(size=(2, 6, 5, 4)).astype(np.float16),
        label=np.random.default_rng(1).integers(0, 3, (1, 6, 5, 4)).astype(np.uint8),
        case='a',
        image_path='a.nii',
        label_path=None,
        affine=np.diag((1.0, 2.0, 3.0, 1.0)),
        source_affine=np.eye(4),
        source_shape=(6, 5, 4),
    )


def test_packed_sample_has_the_tensors_and_the_meta_information_of_the_contract():
    sample = make_sample()
    packed = PackVolume()(sample)
    assert set(packed) == {'inputs', 'data_samples'}
    assert isinstance(packed['data_samples'], VolumeDataSample)
    np.testing.assert_array_equal(packed['inputs'], sample['image'].astype(np.float32))
    np.testing.assert_array_equal(packed['data_samples'].gt_sem_seg.data, sample['label'])
    assert packed['inputs'].dtype == torch.float32
    assert packed['data_samples'].gt_sem_seg.data.dtype == torch.int64
    assert packed['data_samples'].gt_sem_seg.spacing == (1.0, 2.0, 3.0)
    meta = packed['data_samples'].metainfo
    assert set(meta) == {'case', 'image_path', 'label_path', 'affine', 'source_affine', 'source_shape'}


def test_meta_tensors_come_out_plain():
    sample = make_sample()
    sample.update(image=MetaTensor(torch.from_numpy(sample['image'])), label=MetaTensor(sample['label'].astype(int)))
    packed = PackVolume()(sample)
    assert type(packed['inputs']) is torch.Tensor
    assert type(packed['data_samples'].gt_sem_seg.data) is torch.Tensor


def test_memory_maps_become_tensors_of_their_own(tmp_path):
    sample = make_sample()
    np.save(tmp_path / 'image.npy', sample['image'].astype(np.float32))
    mapped = np.load(tmp_path / 'image.npy', mmap_mode='r')
    packed = PackVolume()(dict(sample, image=mapped))
    packed['inputs'] += 1
    np.testing.assert_array_equal(mapped, sample['image'].astype(np.float32))


def test_unlabelled_sample_has_no_truth():
    sample = make_sample()
    del sample['label']
    assert 'gt_sem_seg' not in PackVolume()(sample)['data_samples']


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(image=np.zeros((6, 5, 4))), r'image must be \(C, X, Y, Z\)'),
        (dict(label=np.zeros((1, 6, 5, 3))), "keys=\\['image', 'label'\\]"),
        (dict(label=np.zeros((3, 6, 5, 4))), r'label must be \(1, X, Y, Z\)'),
    ],
)
def test_shapes_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        PackVolume()(dict(make_sample(), **change))

"""The data sets of configs/_base_ on small volumes: what their pipelines make of files."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from mmengine.config import Config

from medctx3d.registry import DATASETS
from medctx3d.utils.config_references import resolve_references

BASES = Path(__file__).parents[2] / 'configs' / '_base_' / 'datasets'
SHAPE = (30, 26, 12)


def write_case(folder, config):
    """One case of a body in air, or of a brain in nothing, on the data set's own grid."""
    rng = np.random.default_rng(0)
    spacing = config.get('spacing', (1.0, 1.0, 1.0))
    inside = np.zeros(SHAPE, bool)
    inside[4:26, 4:22, 2:10] = True
    air = 0.0 if config.in_channels > 1 else -500.0
    image = np.stack(
        [np.where(inside, rng.normal(100 * (c + 1), 30, SHAPE), air) for c in range(config.in_channels)], axis=-1
    )
    label = np.where(inside, rng.integers(0, config.num_classes, SHAPE), 0).astype(np.uint8)
    for name, array in (('image', image if config.in_channels > 1 else image[..., 0]), ('label', label)):
        nib.save(nib.Nifti1Image(array.astype(np.float32), np.diag([*spacing, 1.0])), folder / f'{name}.nii.gz')


def build(name, folder, part):
    config = Config.fromfile(BASES / f'{name}.py')
    config.patch_size = (16, 16, 8)
    resolve_references(config)
    write_case(folder, config)
    dataset = config[f'{part}_dataloader'].dataset
    cases = {dataset.split: [dict(image='image.nii.gz', label='label.nii.gz')]}
    (folder / 'list.json').write_text(json.dumps(cases))
    dataset.update(data_root=str(folder), ann_file='list.json', store=None)
    return DATASETS.build(dataset), config


@pytest.mark.parametrize('name', ['acdc', 'brain_tumour', 'btcv', 'hippocampus'])
def test_training_draws_are_crops_with_all_channels_and_whole_labels(name, tmp_path):
    dataset, config = build(name, tmp_path, 'train')
    for draw in range(3):
        packed = dataset[draw]
        label = packed['data_samples'].gt_sem_seg.data
        assert packed['inputs'].shape == (config.in_channels, 16, 16, 8)
        assert packed['inputs'].isfinite().all()
        assert label.dtype == torch.int64
        assert 0 <= label.min() <= label.max() < config.num_classes


@pytest.mark.parametrize('name', ['acdc', 'brain_tumour', 'btcv', 'hippocampus'])
def test_intensities_are_brought_to_the_stated_range(name, tmp_path):
    image = build(name, tmp_path, 'test')[0][0]['inputs']
    if name == 'btcv':
        assert 0 <= image.min() <= image.max() <= 1
        assert image.mean().item() == pytest.approx((100 + 175) / (250 + 175), abs=0.01)  # about 100 HU in the body
    elif name == 'brain_tumour':  # each channel over the brain alone
        assert tuple(image.shape[1:]) == (22, 18, 8)
        assert torch.allclose(image.mean(dim=(1, 2, 3)), torch.zeros(4), atol=1e-4)
        assert torch.allclose(image.std(dim=(1, 2, 3)), torch.ones(4), atol=1e-3)
    else:
        assert tuple(image.shape[1:]) == SHAPE
        assert image.mean().item() == pytest.approx(0, abs=1e-4)
        assert image.std().item() == pytest.approx(1, abs=1e-3)


def test_hearts_turn_in_the_plane_of_the_slices_and_are_never_mirrored(tmp_path):
    dataset, _ = build('acdc', tmp_path, 'train')
    kinds = [type(step).__name__ for step in dataset.pipeline.transforms]
    assert not any('Mirror' in kind or 'Flip' in kind for kind in kinds)
    turn = dataset.pipeline.transforms[kinds.index('RandRotated')]
    turn.rand_rotate.prob = turn.prob = 1.0
    image = torch.zeros(1, 16, 16, 8)
    image[:, 6:12, 5:9] = torch.arange(1.0, 9.0)  # every slice has its number
    turned = turn(dict(image=image, label=image.to(torch.uint8)))
    assert not torch.allclose(turned['image'], image)
    plane = turned['image'][0, :, :, :1]
    assert torch.allclose(turned['image'][0], plane * torch.arange(1.0, 9.0), atol=1e-3)  # no slice met another

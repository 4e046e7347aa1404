"""Contract of every config that pretrains."""

import pytest
import torch
from test_configs import EVERY, PRETRAININGS, load

from medctx3d.apis.config_consistency import check_consistency
from medctx3d.models.selfsup import SelfSupervisor
from medctx3d.registry import MODELS
from medctx3d.structures import VolumeData, VolumeDataSample
from medctx3d.utils.config_check import ConfigError

OWN = [name for name in PRETRAININGS if '/volume_fusion/' not in name]  # that one is a segmentor with other labels


def blocks(shape):
    """Regions of 8^3 voxels."""
    x, y, z = torch.meshgrid(*(torch.arange(side) // 8 for side in shape), indexing='ij')
    return VolumeData(data=(1 + x + 10 * y + 100 * z).int()[None])


@pytest.mark.parametrize('name', PRETRAININGS)
def test_no_label_is_read_and_no_test_case_is_touched(name):
    config = load(name)
    dataset = config.train_dataloader.dataset
    assert dataset.get('read_labels') is False or dataset.type == 'UnlabelledDataset'
    assert dataset.get('split', 'training') == 'training'
    assert config.get('test_dataloader') is None


@pytest.mark.parametrize('name', PRETRAININGS)
def test_its_parts_fit_one_another(name):
    check_consistency(load(name), ['train'])


@pytest.mark.parametrize('name', [name for name in EVERY if '/lrc/unet' in name or 'region_contrast' in name])
def test_a_contrast_of_regions_without_maps_is_refused_before_it_starts(name):
    config = load(name)
    check_consistency(config, ['train'])
    config.train_dataloader.dataset.region_maps = None
    with pytest.raises(ConfigError, match='compares regions, and the training volumes come without'):
        check_consistency(config, ['train'])


@pytest.mark.parametrize('name', OWN)
def test_teacher_and_hook_come_together_and_collapse_is_watched(name):
    config = load(name)
    hooks = [hook['type'] for hook in config.custom_hooks]
    assert ('EMATeacherHook' in hooks) == ((config.model.get('base') or config.model).get('teacher') is not None)
    assert {'CollapseMonitorHook', 'ProbeHook'} <= set(hooks)


@pytest.mark.parametrize('name', [name for name in OWN if 'swinunetr' not in name])
def test_a_step_reaches_every_parameter(name):
    config = load(name)
    model = MODELS.build(config.model).train()
    assert isinstance(model, SelfSupervisor)
    model.prime_teacher()
    step = next(step for step in config.train_dataloader.dataset.pipeline if 'PackVolume' not in step['type'])
    inputs = torch.rand(2, 1, *step.get('size', step.get('spatial_size')))
    samples = [VolumeDataSample(gt_regions=blocks(inputs.shape[2:])) for _ in inputs]
    total, _ = model.parse_losses(model(inputs, samples, mode='loss'))
    total.backward()
    assert [key for key, weight in model.network.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize(
    ('name', 'key', 'value', 'words'),
    [
        ('voco/unet_hippocampus_v1', 'crops.grid', (2, 4, 2), r'windows of \(32, 64, 32\), got \(32, 48, 32\)'),
        ('pretraining/unet_hippocampus_moco', 'views.size', (64, 32, 24), r'size=\(40, 32, 24\) would fit'),
        ('lrc/unet_hippocampus_moco', 'views.size', (64, 32, 24), r'size=\(40, 32, 24\) would fit'),  # the local ones
        ('pretraining/unet_hippocampus_moco', 'batch_size', 1, 'batch_size=2 or more'),
        ('pretraining/unet_hippocampus_simclr', 'batch_size', 1, 'batch_size=2 or more'),
        ('lrc/unet_hippocampus_moco', 'batch_size', 1, 'batch_size=2 or more'),
        ('voco/unet_hippocampus_v2', 'batch_size', 1, 'inter_volume .* got 1: set train_dataloader.batch_size=2'),
    ],
)
def test_crops_and_batches_that_a_method_cannot_use_are_refused_before_it_starts(name, key, value, words):
    config = load(f'configs/{name}.py')
    place = 'train_dataloader' if key == 'batch_size' else 'model'
    config.merge_from_dict({f'{place}.{key}': value})
    with pytest.raises(ConfigError, match=f'cannot take .*(?:{words})'):
        check_consistency(config, ['train'])

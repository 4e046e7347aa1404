"""Contract of every config that is shipped."""

import contextlib
import copy
from functools import lru_cache
from pathlib import Path

import pytest
import torch

from medctx3d.datasets.metainfo import METAINFO
from medctx3d.engine import load_config
from medctx3d.registry import DATASETS, MODELS
from medctx3d.structures import VolumeData, VolumeDataSample
from medctx3d.utils.config_check import check_config

ROOT = Path(__file__).parent.parent
EVERY = sorted(str(path.relative_to(ROOT)) for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts)
PRETRAININGS = [
    name
    for name in EVERY
    if name.split('/')[1] in ('lrc', 'pretraining', 'voco', 'volume_fusion') and '/finetune_' not in name
]
LEAVES = [name for name in EVERY if name not in PRETRAININGS]
FOLDERS = {  # network: folder of its baselines
    'dynunet': 'dynunet',
    'fmunet': 'fmunet',
    'mednext': 'mednext',
    'monai_unet': 'monai_unet',
    'nnformer': 'nnformer',
    'nnunet_plain': 'nnunet',
    'nnunet_resenc': 'nnunet',
    'pcrlv2': 'pcrlv2',
    'pctnet': 'pctnet',
    'segresnet': 'segresnet',
    'swinunetr': 'swin_unetr',
    'unetr': 'unetr',
    'unetr_plus_plus': 'unetr_plus_plus',
    'vnet': 'vnet',
}
DATA = ('acdc', 'brain_tumour', 'btcv', 'hippocampus')
PAIRS = {  # MedContext: its baseline
    f'configs/medcontext/{network}_{data}.py': f'configs/{folder}/{network}_{data}.py'
    for network, folder in FOLDERS.items()
    for data in DATA
} | {f'configs/medcontext/unet_{data}.py': f'configs/unet/unet_{data}.py' for data in ('head_neck', 'hippocampus')}

# What they train on has no labels, so they have no test; test_pretraining_pairs.py looks at them.
PRETRAINING = [name.replace('/finetune_', '/') for name in LEAVES if '/finetune_' in name]

# A baseline lacks what its pair adds, and a paper's config differs in the consistency; both are shown below.
STEPPED = sorted(name for name in set(LEAVES) - set(PAIRS.values()) if not name.endswith('_paper.py'))


@lru_cache
def loaded(name):
    return load_config(ROOT / name)


def load(name):
    return copy.deepcopy(loaded(name))


def build_without_content(config):
    """The model on the meta device, with one block per stage where a network has many."""
    parts = config.model.network
    shallow = {
        'NNUNetEncoder': dict(depths=1),
        'SwinUNETREncoder': dict(feature_size=12),
        'UNETRPlusPlusEncoder': dict(depths=(1, 1, 1, 1)),
        'UNETRPlusPlusDecoder': dict(depths=(1, 1, 1)),
    }
    for part in parts.values():
        if isinstance(part, dict):
            part.update(shallow.get(part.type, {}))
    if parts.type == 'EncoderDecoder' and parts.backbone.type == 'SwinUNETREncoder':
        return MODELS.build(config.model).to('meta')  # it computes with content while it is built
    with torch.device('meta'):
        return MODELS.build(config.model)


def test_every_network_comes_with_every_data_set_in_both_forms():
    assert set(PAIRS) | set(PAIRS.values()) <= set(LEAVES)


@pytest.mark.parametrize('name', sorted(PAIRS))
def test_medcontext_differs_from_its_baseline_in_teacher_head_and_hooks(name):
    baseline, joint = load(PAIRS[name]).to_dict(), load(name).to_dict()
    del joint['model']['teacher'], joint['model']['auxiliary'], joint['custom_hooks']
    assert joint == baseline


@pytest.mark.parametrize('data', DATA)
def test_all_networks_of_a_data_set_have_the_same_objective(data):
    joint = [load(name) for name in PAIRS if name.endswith(f'_{data}.py')]
    first = (joint[0].model.teacher, joint[0].model.auxiliary, joint[0].custom_hooks)
    assert all((config.model.teacher, config.model.auxiliary, config.custom_hooks) == first for config in joint)


@pytest.mark.parametrize('name', EVERY)
def test_every_key_is_taken_by_a_component(name):
    check_config(load(name))


@pytest.mark.parametrize('name', EVERY)
def test_a_config_fits_one_screen_and_inherits_from_bases_only(name):
    text = (ROOT / name).read_text()
    assert len(text.splitlines()) <= 45
    bases = [line for line in text.splitlines() if line.strip().startswith("'../")]
    assert len(bases) == 4
    assert all('/_base_/' in line for line in bases)


@pytest.mark.parametrize('name', LEAVES)
def test_numbers_that_must_agree_agree(name):
    config = load(name)
    crop = next(step for step in config.train_dataloader.dataset.pipeline if step['type'] == 'ForegroundCrop')['size']
    assert tuple(config.model.inferer.roi_size) == tuple(crop)
    dataset = config.train_dataloader.dataset
    meta = dict(DATASETS.get(dataset.type).METAINFO, **(dataset.get('metainfo') or {}))
    parts = config.model.network
    backbone, head = (parts.net, parts.net) if parts.type == 'WholeNet' else (parts.backbone, parts.decode_head)
    assert backbone.in_channels == len(meta['channels'])
    assert head.get('num_classes', head.get('out_channels')) == len(meta['classes'])
    for head in config.model.get('auxiliary', {}).values():
        if head.get('masking'):
            assert all(side % cell == 0 for side, cell in zip(crop, head['patch_size'], strict=True))


@pytest.mark.parametrize('name', LEAVES)
def test_hook_and_teacher_come_together(name):
    config = load(name)
    hooks = [hook['type'] for hook in config.get('custom_hooks', [])]
    follows = any(head.get('consistency') for head in config.model.get('auxiliary', {}).values())
    assert ('EMATeacherHook' in hooks) == ('teacher' in config.model) == follows
    assert follows or '/medcontext/' not in name


@pytest.mark.parametrize('name', sorted(set(LEAVES) - set(PRETRAINING)))
def test_train_and_test_see_the_same_deterministic_pipeline_and_other_cases(name):
    config = load(name)
    train, test = config.train_dataloader.dataset, config.test_dataloader.dataset
    assert train.load_pipeline == test.load_pipeline
    splits = [
        config[f'{part}_dataloader'].dataset.split
        for part in ('train', 'val', 'test')
        if f'{part}_dataloader' in config
    ]
    assert len(set(splits)) == len(splits)
    assert config.test_evaluator.grid == 'source'


@pytest.mark.parametrize('name', STEPPED)
def test_every_model_takes_a_step_on_its_own_crop_that_reaches_every_parameter(name, monkeypatch):
    """On shapes alone: full width and real crop cost nothing on the meta device."""
    monkeypatch.setattr(torch, 'autocast', lambda *_, **__: contextlib.nullcontext())  # it does not know that device
    config = load(name)
    model = build_without_content(config).train()
    if model.teacher is not None:
        model.teacher.steps = torch.ones(())  # primed
    crop = config.model.inferer.roi_size
    sample = VolumeDataSample()
    sample.gt_sem_seg = VolumeData(data=torch.zeros(1, *crop, dtype=torch.long, device='meta'))
    sample.gt_regions = VolumeData(data=torch.ones(1, *crop, dtype=torch.int32, device='meta'))
    inputs = torch.zeros(2, config.in_channels, *crop, device='meta')
    total, _ = model.parse_losses(model(inputs, [sample, sample], mode='loss'))
    total.backward()
    assert [key for key, weight in model.network.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize('net', ['nnformer', 'unetr', 'swinunetr'])
def test_paper_differs_from_the_default_in_the_consistency_and_its_ramp_alone(net):
    default, paper = load(f'configs/medcontext/{net}_btcv.py'), load(f'configs/medcontext/{net}_btcv_paper.py')
    assert default.model.auxiliary.medcontext.pop('consistency').type == 'KLConsistencyLoss'
    assert paper.model.auxiliary.medcontext.pop('consistency').normalize == 'frobenius'
    assert default.custom_hooks.pop(0) == paper.custom_hooks.pop(0)
    assert [hook.type for hook in default.pop('custom_hooks')] == ['RampUpHook', 'ObjectiveMonitorHook']
    assert paper.pop('custom_hooks') == []
    assert default.to_dict() == paper.to_dict()


def test_btcv_trains_thirteen_organs_and_reports_eight():
    meta = METAINFO['btcv']
    assert len(meta['classes']) == 14
    assert [meta['classes'].index(name) for name in meta['reported']] == [1, 2, 3, 4, 6, 7, 8, 11]


def test_the_controls_differ_from_the_method_in_one_part_each():
    joint = load('configs/medcontext/unet_hippocampus.py').to_dict()
    masked = load('configs/controls/unet_hippocampus_masked.py').to_dict()
    mean_teacher = load('configs/controls/unet_hippocampus_mean_teacher.py').to_dict()
    clean = load('configs/unet/unet_hippocampus.py').to_dict()
    head = joint['model']['auxiliary']['medcontext']
    assert masked['model']['auxiliary']['medcontext']['masking'] == head['masking']
    assert mean_teacher['model']['auxiliary']['medcontext']['consistency'] == head['consistency']
    assert mean_teacher['model']['auxiliary']['medcontext']['weight'] == head['weight']
    assert mean_teacher['custom_hooks'] == joint['custom_hooks']
    for config in (masked, mean_teacher, joint):
        config['model'].pop('auxiliary')
        config['model'].pop('teacher', None)
        config.pop('custom_hooks', None)
        assert config == clean


@pytest.mark.parametrize('data', ['hippocampus', 'head_neck'])
def test_the_control_at_equal_compute_differs_from_the_baseline_in_length_alone(data):
    longer = load(f'configs/controls/unet_{data}_equal_compute.py').to_dict()
    clean = load(f'configs/unet/unet_{data}.py').to_dict()
    assert longer['train_cfg'].pop('max_iters') == round(
        longer.pop('equal_compute') * clean['train_cfg'].pop('max_iters')
    )
    assert longer == clean

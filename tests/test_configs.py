"""Contract of every config that is shipped."""

from pathlib import Path

import pytest
import torch

from medctx3d.datasets.metainfo import METAINFO
from medctx3d.engine import load_config
from medctx3d.registry import DATASETS, MODELS
from medctx3d.structures import VolumeData, VolumeDataSample
from medctx3d.utils.config_check import check_config

ROOT = Path(__file__).parent.parent
LEAVES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts)


def load(name):
    return load_config(ROOT / name)


def narrow(config):
    """The model at a fraction of its width, so that building it costs nothing."""
    model = config.model.copy()
    backbone = model.network.backbone
    widths = {
        'NNFormerEncoder': dict(feature_size=8, num_heads=(1, 2, 2, 4)[: len(backbone.get('windows', ()))]),
        'SwinUNETREncoder': dict(feature_size=12),
        'UNETREncoder': dict(feature_size=4, hidden_size=24, mlp_dim=48, num_heads=3),
        'UNETRPlusPlusEncoder': dict(
            feature_size=4, channels=(8, 16, 32, 64)[: len(backbone.get('channels', range(4)))]
        ),
        'UNetEncoder': dict(channels=tuple(width // 4 for width in backbone.get('channels', ()))),
    }
    backbone.update(widths[backbone.type])
    head = model.network.decode_head
    if head.type == 'NNFormerDecoder':
        head.num_heads = (1, 2, 2)[: len(head.windows)]
    return model


def test_there_are_configs_to_check():
    assert 'configs/medcontext/swinunetr_btcv.py' in LEAVES


@pytest.mark.parametrize('name', LEAVES)
def test_every_key_is_taken_by_a_component(name):
    check_config(load(name))


@pytest.mark.parametrize('name', LEAVES)
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
    classes = (dataset.get('metainfo') or DATASETS.get(dataset.type).METAINFO)['classes']
    assert config.model.network.decode_head.num_classes == len(classes)
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


@pytest.mark.parametrize('name', LEAVES)
def test_train_and_test_see_the_same_deterministic_pipeline_and_other_cases(name):
    config = load(name)
    train, test = config.train_dataloader.dataset, config.test_dataloader.dataset
    assert train.load_pipeline == test.load_pipeline
    assert train.split != test.split
    assert config.test_evaluator.grid == 'source'


@pytest.mark.parametrize('name', LEAVES)
def test_every_model_builds_and_takes_a_step(name):
    config = load(name)
    model_config = narrow(config)
    crop = {'SwinUNETREncoder': (64, 32, 32)}.get(config.model.network.backbone.type, (32, 32, 32))
    for part in (model_config.network.backbone, model_config.network.decode_head):
        if 'img_size' in part:
            part.img_size = crop
    torch.manual_seed(0)
    model = MODELS.build(model_config)
    model.prime_teacher()
    inputs = torch.randn(1, 1, *crop)
    sample = VolumeDataSample()
    sample.gt_sem_seg = VolumeData(data=torch.randint(0, config.model.network.decode_head.num_classes, (1, *crop)))
    total, _ = model.parse_losses(model(inputs, [sample], mode='loss'))
    total.backward()
    assert all(weight.grad is not None for weight in model.network.parameters())


@pytest.mark.parametrize('net', ['unetr', 'swinunetr'])
def test_paper_differs_from_the_default_in_the_norm_alone(net):
    default, paper = load(f'configs/medcontext/{net}_btcv.py'), load(f'configs/medcontext/{net}_btcv_paper.py')
    assert default.model.auxiliary.medcontext.consistency.normalize == 'mean_square'
    assert paper.model.auxiliary.medcontext.consistency.normalize == 'frobenius'
    paper.model.auxiliary.medcontext.consistency.normalize = 'mean_square'
    assert default.to_dict() == paper.to_dict()


@pytest.mark.parametrize('net', [('unetr', 'unetr'), ('swin_unetr', 'swinunetr')])
def test_medcontext_differs_from_its_baseline_in_teacher_head_and_hook(net):
    folder, name = net
    baseline = load(f'configs/{folder}/{name}_btcv.py').to_dict()
    joint = load(f'configs/medcontext/{name}_btcv.py').to_dict()
    del joint['model']['teacher'], joint['model']['auxiliary'], joint['custom_hooks']
    baseline.pop('custom_hooks', None)
    assert joint == baseline


def test_btcv_trains_thirteen_organs_and_reports_eight():
    meta = METAINFO['btcv']
    assert len(meta['classes']) == 14
    assert [meta['classes'].index(name) for name in meta['reported']] == [1, 2, 3, 4, 6, 7, 8, 11]


def test_the_controls_differ_from_the_method_in_one_part_each():
    joint = load('configs/medcontext/unet_hippocampus.py').to_dict()
    masked = load('configs/controls/unet_hippocampus_masked.py').to_dict()
    mean_teacher = load('configs/controls/unet_hippocampus_mean_teacher.py').to_dict()
    longer = load('configs/controls/unet_hippocampus_equal_compute.py').to_dict()
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
    assert longer['train_cfg'].pop('max_iters') == round(
        longer.pop('equal_compute') * clean['train_cfg'].pop('max_iters')
    )
    assert longer == clean

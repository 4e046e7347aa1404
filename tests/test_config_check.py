"""A config is judged as a whole before anything is built."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from mmengine.config import Config
from torch import nn

from medctx3d.engine.launch import load_config
from medctx3d.registry import BACKBONES
from medctx3d.utils.config_check import ConfigError, check_config

GOOD: dict[str, Any] = dict(
    default_scope='medctx3d',
    patch_size=(16, 16, 16),
    model=dict(
        type='VolumeSegmentor',
        network=dict(
            type='EncoderDecoder',
            backbone=dict(type='UNetEncoder', in_channels=1, channels=(8, 16), strides=(1, 2)),
            decode_head=dict(type='UNetDecoder', num_classes=2),
        ),
        criterion=dict(type='SegCriterion', loss_dice=dict(type='monai.losses.DiceCELoss', softmax=True)),
        teacher=dict(type='EMATeacher'),
        auxiliary=dict(
            medcontext=dict(
                type='MedContextHead',
                masking=dict(type='TubeMask', ratio=0.4, axis=2),
                patch_size=(4, 4, 4),
                consistency=dict(type='ConsistencyLoss'),
            )
        ),
        inferer=dict(type='monai.inferers.SlidingWindowInferer', roi_size=(16, 16, 16)),
    ),
    train_dataloader=dict(
        batch_size=2,
        num_workers=0,
        sampler=dict(type='InfiniteSampler', shuffle=True),
        collate_fn=dict(type='pseudo_collate'),
        dataset=dict(
            type='VolumeDataset',
            ann_file='dataset.json',
            metainfo=dict(type='free content', classes=('background', 'organ')),
            load_pipeline=[dict(type='LoadVolume')],
            pipeline=[dict(type='monai.transforms.RandFlipd', keys=['image'], prob=0.5), dict(type='PackVolume')],
        ),
    ),
    optim_wrapper=dict(
        type='AmpOptimWrapper',
        loss_scale='dynamic',
        accumulative_counts=2,
        clip_grad=dict(max_norm=1.0),
        optimizer=dict(type='AdamW', lr=1e-3),
        paramwise_cfg=dict(norm_decay_mult=0.0),
        constructor='DefaultOptimWrapperConstructor',
    ),
    param_scheduler=[dict(type='LinearLR', start_factor=0.1, begin=0, end=2, convert_to_iter_based=True)],
    train_cfg=dict(by_epoch=False, max_iters=3),
    custom_hooks=[dict(type='EMATeacherHook', decay=0.9, priority='LOW')],
    default_hooks=dict(timer=dict(type='IterTimerHook'), checkpoint=None),
    model_wrapper_cfg=dict(type='MMDistributedDataParallel', device_ids=None, find_unused_parameters=False),
    env_cfg=dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0)),
    randomness=dict(seed=0, diff_rank_seed=True),
    log_processor=dict(by_epoch=False, window_size=5),
)


def problems(changes: dict[str, Any]) -> list[str]:
    """The lines of the refusal of the good config with some changes."""
    cfg = Config(GOOD)
    cfg.merge_from_dict(changes)
    with pytest.raises(ConfigError) as caught:
        check_config(cfg)
    return str(caught.value).splitlines()[1:]


def test_good_config_passes() -> None:
    check_config(Config(GOOD))


@pytest.mark.parametrize(
    ('key', 'value', 'place', 'closest'),
    [
        ('model.network.backbone.type', 'UNetEncodr', 'model.network.backbone', 'UNetEncoder'),
        ('model.network.decode_head.type', 'UNetDecodr', 'model.network.decode_head', 'UNetDecoder'),
        ('model.auxiliary.medcontext.type', 'MedContextHad', 'model.auxiliary.medcontext', 'MedContextHead'),
        ('model.auxiliary.medcontext.masking.type', 'TubMask', 'model.auxiliary.medcontext.masking', 'TubeMask'),
        ('model.criterion.loss_dice.type', 'monai.losses.DiceCELos', 'model.criterion.loss_dice', 'DiceCELoss'),
        ('train_dataloader.dataset.type', 'VolumDataset', 'train_dataloader.dataset', 'VolumeDataset'),
        ('train_dataloader.sampler.type', 'InfinitSampler', 'train_dataloader.sampler', 'InfiniteSampler'),
        ('optim_wrapper.optimizer.type', 'AdmW', 'optim_wrapper.optimizer', 'AdamW'),
        ('optim_wrapper.type', 'OptimWraper', 'optim_wrapper', 'OptimWrapper'),
        ('param_scheduler.0.type', 'LineaLR', 'param_scheduler[0]', 'LinearLR'),
        ('custom_hooks.0.type', 'EMATeachrHook', 'custom_hooks[0]', 'EMATeacherHook'),
        ('default_hooks.timer.type', 'IterTimrHook', 'default_hooks.timer', 'IterTimerHook'),
        (
            'train_dataloader.dataset.pipeline.1.type',
            'PakVolume',
            'train_dataloader.dataset.pipeline[1]',
            'PackVolume',
        ),
    ],
)
def test_unknown_name_is_told_with_place_and_closest_name(key: str, value: str, place: str, closest: str) -> None:
    (line,) = problems({key: value})
    assert line.startswith(f'  {place}: ')
    assert repr(value) in line
    assert closest in line


@pytest.mark.parametrize(
    ('place', 'wrong', 'right'),
    [
        ('model', 'netwrk', 'network'),
        ('model.network.backbone', 'in_chanels', 'in_channels'),
        ('model.auxiliary.medcontext.masking', 'axes', 'axis'),
        ('model.criterion.loss_dice', 'sofmax', 'softmax'),
        ('model.inferer', 'roi_siz', 'roi_size'),
        ('train_dataloader', 'batchsize', 'batch_size'),
        ('train_dataloader.sampler', 'shufle', 'shuffle'),
        ('train_dataloader.dataset', 'anno_file', 'ann_file'),
        ('optim_wrapper', 'acumulative_counts', 'accumulative_counts'),
        ('optim_wrapper.optimizer', 'weight_decy', 'weight_decay'),
        ('train_cfg', 'max_iter', 'max_iters'),
        ('model_wrapper_cfg', 'find_unused', 'find_unused_parameters'),
        ('env_cfg', 'cudn_benchmark', 'cudnn_benchmark'),
        ('env_cfg.mp_cfg', 'opencv_num_thread', 'opencv_num_threads'),
        ('randomness', 'sed', 'seed'),
        ('log_processor', 'window', 'window_size'),
    ],
)
def test_unknown_argument_is_told_with_place_and_closest_name(place: str, wrong: str, right: str) -> None:
    (line,) = problems({f'{place}.{wrong}': 1})
    assert line.startswith(f'  {place}: ')
    assert f"no argument '{wrong}'. Did you mean '{right}'?" in line


def test_list_items_are_judged() -> None:
    (line,) = problems({'param_scheduler.0.start_facter': 1.0})
    assert line.startswith('  param_scheduler[0]: ')
    assert "'start_factor'" in line


def test_all_problems_come_at_once() -> None:
    lines = problems(
        {'model.teacher.type': 'EMATeachr', 'train_cfg.max_iter': 3, 'custom_hook': [], 'randomness.sed': 1}
    )
    assert [line.split(':')[0].strip() for line in lines] == [
        'custom_hook',
        'model.teacher',
        'train_cfg',
        'randomness',
    ]


def test_near_miss_of_a_top_level_key_is_refused_and_a_free_variable_is_not() -> None:
    check_config(Config({**GOOD, 'data_root': 'x', 'num_classes': 2, 'train_pipeline': [dict(type='Nothing')]}))
    (line,) = problems({'optim_wraper': dict()})
    assert "Did you mean 'optim_wrapper'" in line


def test_same_problem_in_two_loaders_is_told_once() -> None:
    loader = dict(batch_size=1, dataset=dict(type='VolumDataset'))
    (line,) = problems({'val_dataloader': loader, 'test_dataloader': loader})
    assert line.startswith('  val_dataloader.dataset, test_dataloader.dataset: ')


def test_component_of_another_registry_is_refused_with_the_place_where_it_exists() -> None:
    (line,) = problems({'model.auxiliary.medcontext.masking': dict(_delete_=True, type='ConsistencyLoss')})
    assert 'medctx3d::masking' in line
    assert 'LOSSES' in line


def test_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'timm', None)
    (line,) = problems({'optim_wrapper.optimizer.type': 'timm.optim.Lamb'})
    assert "'timm.optim.Lamb': the package 'timm' is not installed" in line
    assert "pip install -e '.[optional]'" in line


def test_package_that_fails_on_import_gives_its_reason(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'breaks_on_import.py').write_text("raise RuntimeError('no such operator')", encoding='utf-8')
    (tmp_path / 'wants_another.py').write_text('import not_there_at_all', encoding='utf-8')
    monkeypatch.syspath_prepend(tmp_path)
    (line,) = problems({'optim_wrapper.optimizer.type': 'breaks_on_import.Lamb'})
    assert 'RuntimeError: no such operator' in line
    (line,) = problems({'optim_wrapper.optimizer.type': 'wants_another.Lamb'})
    assert 'pip install not_there_at_all' in line


def test_module_is_no_component() -> None:
    (line,) = problems({'model.criterion.loss_dice': dict(_delete_=True, type='monai.losses')})
    assert 'is a module' in line


def test_type_must_be_a_name_or_a_class() -> None:
    (line,) = problems({'model.teacher.type': 3})
    assert 'got 3 (int)' in line
    check_config(Config({**GOOD, 'optim_wrapper': dict(optimizer=dict(type='SGD', lr=0.1))}))


def test_forwarded_keyword_arguments_are_followed_to_the_base_class() -> None:
    class Base(nn.Module):
        def __init__(self, width: int = 1) -> None:
            super().__init__()

    @BACKBONES.register_module(name='ForwardingNetOfATest')
    class Forwarding(Base):
        def __init__(self, depth: int = 1, **kwargs: int) -> None:
            super().__init__(**kwargs)

    backbone = dict(_delete_=True, type='ForwardingNetOfATest', depth=2, width=3)
    try:
        cfg = Config(GOOD)
        cfg.merge_from_dict({'model.network.backbone': backbone})
        check_config(cfg)
        (line,) = problems({'model.network.backbone': {**backbone, 'widht': 3}})
    finally:
        BACKBONES.module_dict.pop('ForwardingNetOfATest')
    assert "no argument 'widht'. Did you mean 'width'?" in line
    assert 'depth' in line


def test_terms_that_a_component_reads_from_its_keyword_arguments_are_free() -> None:
    cfg = Config(GOOD)
    cfg.merge_from_dict({'model.criterion.loss_extra': dict(type='monai.losses.FocalLoss')})
    check_config(cfg)


@pytest.mark.parametrize('wrong', ['own.py', 'base.py'])
def test_a_config_or_base_that_is_no_python_is_named_with_its_line(wrong, tmp_path):
    (tmp_path / 'own.py').write_text("_base_ = 'base.py'\nb = 2\n", encoding='utf-8')
    (tmp_path / 'base.py').write_text('a = 1\n', encoding='utf-8')
    (tmp_path / wrong).write_text((tmp_path / wrong).read_text(encoding='utf-8') + 'c = dict(d=1\n', encoding='utf-8')
    line = 3 if wrong == 'own.py' else 2
    with pytest.raises(ConfigError, match=rf'^\S*{wrong}, line {line}: this is no Python') as error:
        load_config(tmp_path / 'own.py')
    assert str(error.value).count(str(tmp_path)) == 1

"""Values of the wrong type and missing arguments are told before anything is built."""

from __future__ import annotations

from typing import Any

import pytest
from mmengine.config import Config
from test_config_check import GOOD, problems

from medctx3d.utils.config_check import check_config


@pytest.mark.parametrize(
    ('key', 'value', 'words'),
    [
        ('model.network.backbone.in_channels', '1', "UNetEncoder wants int, got '1' (str). Write the number without"),
        ('model.network.backbone.in_channels', True, 'UNetEncoder wants int, got True (bool)'),
        ('model.network.backbone.channels', 8, 'UNetEncoder wants Sequence[int], got 8 (int)'),
        ('model.auxiliary.medcontext.masking.ratio', '0.4', "TubeMask wants float, got '0.4' (str)"),
        ('model.criterion.loss_dice.softmax', 1, 'DiceCELoss wants bool, got 1 (int)'),
        ('optim_wrapper.optimizer.weight_decay', '1e-5', "AdamW wants float, got '1e-5' (str)"),
        ('optim_wrapper.accumulative_counts', 2.5, 'AmpOptimWrapper wants int, got 2.5 (float)'),
        ('train_dataloader.batch_size', '2', "DataLoader wants int | None, got '2' (str)"),
        ('train_dataloader.dataset.ann_file', 3, 'VolumeDataset wants str, got 3 (int)'),
        ('train_dataloader.dataset.pipeline[0].prob', 'half', "RandFlipd wants float, got 'half' (str)"),
        ('custom_hooks[0].decay', 'slow', "EMATeacherHook wants float, got 'slow' (str)"),
        ('train_cfg.max_iters', '3', "IterBasedTrainLoop wants int, got '3' (str)"),
        ('randomness.seed', 'none', "set_random_seed wants int | None, got 'none' (str)"),
        ('resume', 'yes', "Runner wants bool, got 'yes' (str)"),
        ('custom_hooks', 'EMATeacherHook', 'Runner wants List'),
    ],
)
def test_wrong_type_is_told_with_key_type_and_value(key: str, value: Any, words: str) -> None:
    (line,) = problems({key.replace('[', '.').replace(']', ''): value})
    assert line.startswith(f'  {key}: {words}')


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('optim_wrapper.optimizer.lr', 1),
        ('model.network.backbone.channels', [8, 16]),
        ('train_dataloader.dataset.cases', None),
        ('model.inferer.roi_size', 16),
    ],
)
def test_what_fits_in_spirit_is_no_wrong_type(key: str, value: Any) -> None:
    cfg = Config(GOOD)
    cfg.merge_from_dict({key: value})
    check_config(cfg)


@pytest.mark.parametrize(
    ('place', 'config', 'missing'),
    [
        ('model.network.backbone', dict(type='UNetEncoder'), "'in_channels' (int)"),
        ('model.auxiliary.medcontext', dict(type='MedContextHead', patch_size=(4, 4, 4)), "'masking'"),
        (
            'model.network',
            dict(type='WholeNet', net=dict(type='monai.networks.nets.UNet')),
            "UNet needs 'spatial_dims'",
        ),
        ('train_dataloader.dataset.pipeline', [dict(type='monai.transforms.SpatialPadd', keys='a')], "'spatial_size'"),
        ('param_scheduler', [dict(type='StepLR')], "'step_size' (int)"),
    ],
)
def test_missing_argument_is_told_with_its_type(place: str, config: Any, missing: str) -> None:
    replaced = dict(config, _delete_=True) if isinstance(config, dict) else config
    lines = problems({place: replaced})
    assert any(line.strip().startswith(place) and missing in line and 'missing: add ' in line for line in lines)


def test_what_the_builder_adds_is_not_missing() -> None:
    """The decoder's channels, the teacher's network, the optimiser's parameters, the loop's runner."""
    check_config(Config(GOOD))

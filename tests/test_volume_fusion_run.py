"""From images without labels to a fine-tuned segmentor, through the tools as a person calls them."""

from __future__ import annotations

import pytest
import torch
from conftest import nifti_dataset
from test_end_to_end import call

PRETRAINING = 'configs/volume_fusion/unet_hippocampus.py'
TUNING = 'configs/volume_fusion/finetune_unet_hippocampus.py'


def options(*stages: str) -> list[str]:
    """The config's hippocampi become small generated volumes, its network a narrow one."""
    shared = [f'{stage}_dataloader.dataset.{key}' for stage in stages for key in ('type=VolumeDataset', 'store=None')]
    shared += [f'{stage}_dataloader.dataset.ann_file=dataset.json' for stage in stages]
    shared += [
        'patch_size=(16,16,16)',
        'model.network.backbone.channels=(4,8)',
        'model.network.backbone.strides=(1,2)',
    ]
    return [*shared, *(f'{stage}_dataloader.num_workers=0' for stage in stages)]


@pytest.mark.slow
def test_a_pretraining_leaves_what_its_fine_tuning_begins_with(tmp_path):
    root = tmp_path / 'data'
    root.mkdir()
    nifti_dataset.__wrapped__(root)
    data = dict(HIPPOCAMPUS_ROOT=str(root))
    persistent = [f'{stage}_dataloader.persistent_workers=False' for stage in ('train',)]
    first = call(
        'train',
        PRETRAINING,
        '--work-dir',
        tmp_path / 'first',
        '--cfg-options',
        *options('train', 'val'),
        *persistent,
        'train_dataloader.dataset.part=(0.0,1.0)',
        'val_dataloader.dataset.part=(0.0,1.0)',
        'val_dataloader.dataset.split=validation',
        'val_dataloader.batch_size=2',
        'val_dataloader.drop_last=False',
        'val_dataloader.dataset.crops_per_volume=2',
        'train_cfg.max_iters=4',
        'train_cfg.val_interval=2',
        **data,
    )
    assert 'validation after 4 iterations: mean Dice' in first.stdout
    second = call(
        'train',
        TUNING,
        '--work-dir',
        tmp_path / 'second',
        '--cfg-options',
        *options('train', 'test'),
        *persistent,
        "train_dataloader.dataset.metainfo.classes=('background','near','far')",
        "test_dataloader.dataset.metainfo.classes=('background','near','far')",
        'optim_wrapper.optimizer.lr=0.0',
        'optim_wrapper.optimizer.weight_decay=0.0',
        'train_cfg.max_iters=1',
        PRETRAINED=str(tmp_path / 'first' / 'iter_4.pth'),
        **data,
    )
    assert 'Traceback' not in second.stderr
    pretrained, tuned = (
        torch.load(tmp_path / run / f'iter_{step}.pth', weights_only=True)['state_dict']
        for run, step in (('first', 4), ('second', 1))
    )
    assert pretrained['network.decode_head.outs.0.conv.conv.weight'].shape[0] == 5
    assert tuned['network.decode_head.outs.0.conv.conv.weight'].shape[0] == 3
    for name, value in tuned.items():
        if '.outs.' not in name:
            assert torch.equal(value, pretrained[name]), name

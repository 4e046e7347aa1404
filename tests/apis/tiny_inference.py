"""A model that needs no training, its config, and scans that it answers rightly."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from mmengine.config import Config
from torch import nn

from medctx3d.registry import MODELS
from medctx3d.typing import SegOutput

NAMES = ['a', 'b', 'c']
STREAMED = dict(type='StreamedWindowInferer', roi_size=(16, 16, 16))
BLOCKS = np.zeros((10, 9, 8), np.uint8)
BLOCKS[2:8, 3:7, 2:6] = 1
BLOCKS[3:5, 4:6, 3:5] = 2


@MODELS.register_module()
class NearestIntensity(nn.Module):
    """Class k where the mean of the channels is nearest to 100 k."""

    def __init__(self):
        super().__init__()
        self.levels = nn.Parameter(torch.tensor([0.0, 100.0, 200.0]))

    def forward(self, inputs):
        distance = inputs.mean(1, keepdim=True) - self.levels.view(1, -1, 1, 1, 1)
        return SegOutput(logits=(-distance.abs(),))


def make_config(root, *, channels=('CT',), **model):
    load = [
        dict(type='LoadVolume'),
        dict(type='monai.transforms.Orientationd', keys=['image', 'label'], axcodes='RAS', labels=None,
             allow_missing_keys=True),
        dict(type='monai.transforms.CropForegroundd', keys=['image', 'label'], source_key='image', margin=1,
             allow_smaller=True, allow_missing_keys=True),
    ]  # fmt: skip
    dataset = dict(
        type='VolumeDataset',
        ann_file='dataset.json',
        data_root=str(root),
        load_pipeline=load,
        store=dict(type='PreparedStore', root=str(root / 'store')),
        metainfo=dict(classes=('background', 'near', 'far'), channels=channels),
    )
    loader = dict(
        batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='pseudo_collate'),
    )  # fmt: skip
    pipeline = [dict(type='ForegroundCrop', size=(16, 16, 16)), dict(type='PackVolume')]
    return Config(
        dict(
            default_scope='medctx3d',
            model=dict(
                type='VolumeSegmentor',
                network=dict(type='NearestIntensity'),
                criterion=dict(type='SegCriterion', loss_ce=dict(type='torch.nn.CrossEntropyLoss')),
                **model,
            ),
            train_dataloader=dict(dataset=dict(split='training', pipeline=pipeline, **dataset), **loader),
            test_dataloader=dict(
                dataset=dict(split='test', pipeline=[dict(type='PackVolume')], test_mode=True, **dataset), **loader
            ),
        )
    )


def save_scan(path, labels, affine, *, split_channels=False):
    """Intensity 100 times the label; with channels 90 and 110 times."""
    if split_channels:
        for channel, factor in enumerate((90, 110)):
            name = path.with_name(f'{path.name[:-7]}_{channel:04d}.nii.gz')
            nib.save(nib.Nifti1Image((labels * factor).astype(np.int16), affine), name)
    else:
        image = nib.Nifti1Image((labels * 100).astype(np.int16), affine)
        image.set_qform(affine, 1)
        image.set_sform(affine, 2)
        nib.save(image, path)
    return path


def make_scans(folder: Path) -> Path:
    """Three scans of ``BLOCKS``."""
    folder.mkdir()
    for name in NAMES:
        save_scan(folder / f'{name}.nii.gz', BLOCKS, np.diag([1.0, 2, 3, 1]))
    return folder


def read_record(folder: Path) -> dict:
    """What the record of ``folder/out`` says."""
    return json.loads((folder / 'out' / 'inference.json').read_text())

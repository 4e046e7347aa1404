"""Predict a generated file in a process whose memory is limited: FOLDER X Y Z BYTES; prints the peak in bytes."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from mmengine.config import Config
from torch import nn

from medctx3d.apis import check_memory, init_model, save_segmentation, segment_volume
from medctx3d.inference import PredictionOptions
from medctx3d.registry import MODELS
from medctx3d.typing import SegOutput
from medctx3d.utils.process_memory import peak_memory

CLASSES = 14
SPACING = 0.8  # mm


@MODELS.register_module()
class OneLayer(nn.Module):
    """The cheapest network with many classes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv3d(1, CLASSES, 1)

    def forward(self, inputs: torch.Tensor) -> SegOutput:
        return SegOutput(logits=(self.layer(inputs),))


def config(pixdim: float) -> Config:
    """A CT pipeline that turns, resamples, scales and crops."""
    keys = dict(keys=['image', 'label'], allow_missing_keys=True)
    load = [
        dict(type='LoadVolume'),
        dict(type='monai.transforms.Orientationd', axcodes='RAS', labels=None, **keys),
        dict(type='monai.transforms.Spacingd', pixdim=(pixdim,) * 3, mode=('bilinear', 'nearest'), **keys),
        dict(type='monai.transforms.ScaleIntensityRanged', keys=['image'], a_min=-175.0, a_max=250.0, b_min=0.0,
             b_max=1.0, clip=True),
        dict(type='monai.transforms.CropForegroundd', source_key='image', **keys),
    ]  # fmt: skip
    names = ('background', *(f'organ {number}' for number in range(1, CLASSES)))
    dataset = dict(
        type='VolumeDataset', ann_file='none.json', split='test', load_pipeline=load,
        pipeline=[dict(type='PackVolume')], metainfo=dict(classes=names),
    )  # fmt: skip
    model = dict(
        type='VolumeSegmentor',
        network=dict(type='OneLayer'),
        criterion=dict(type='SegCriterion', loss_ce=dict(type='torch.nn.CrossEntropyLoss')),
        inferer=dict(type='StreamedWindowInferer', roi_size=(96, 96, 96), overlap=0.25),
    )
    return Config(dict(model=model, test_dataloader=dict(dataset=dataset)))


def write_scan(path: Path, shape: tuple[int, ...]) -> None:
    """Blocks of tissue in an LPS file, written in planes."""
    blocks = np.random.default_rng(0).integers(-300, 300, [-(-size // 16) for size in shape], dtype=np.int16)
    voxels = np.empty(shape, np.int16, order='F')
    for plane in range(shape[2]):
        wide = blocks[:, :, plane // 16].repeat(16, axis=0).repeat(16, axis=1)
        voxels[:, :, plane] = wide[: shape[0], : shape[1]]
    nib.save(nib.Nifti1Image(voxels, np.diag([-SPACING, -SPACING, SPACING, 1.0])), path)


def main(folder: str, *numbers: str) -> None:
    """Write, limit, predict, write."""
    torch.set_num_threads(1)
    *shape, limit = map(int, numbers)
    scan = Path(folder) / 'scan.nii.gz'
    write_scan(scan, tuple(shape))
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    model = init_model(config(1.05 * SPACING), device='cpu', options=PredictionOptions(max_memory=limit))
    (plan,) = check_memory(model, [scan])
    save_segmentation(segment_volume(model, scan), Path(folder) / 'labels.nii.gz')
    assert nib.load(Path(folder) / 'labels.nii.gz').shape == tuple(shape)
    print(plan.host_bytes, peak_memory())


if __name__ == '__main__':
    main(*sys.argv[1:])

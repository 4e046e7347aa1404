"""Small models and volumes that many tests share."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch

from medctx3d.registry import MODELS, register_all_modules
from medctx3d.structures import VolumeData, VolumeDataSample

register_all_modules()
torch.set_num_threads(1)


def tiny_segmentor_config(*, medcontext: bool = True, num_classes: int = 3, norm: str = 'instance') -> dict:
    """A U-Net of 8 channels, with or without MedContext; crops of 16^3."""
    config = dict(
        type='VolumeSegmentor',
        network=dict(
            type='EncoderDecoder',
            backbone=dict(type='UNetEncoder', in_channels=1, channels=(4, 8), strides=(1, 2), norm=norm),
            decode_head=dict(type='UNetDecoder', num_classes=num_classes, norm=norm),
        ),
        criterion=dict(
            type='SegCriterion',
            loss_dice_ce=dict(type='monai.losses.DiceCELoss', to_onehot_y=True, softmax=True),
        ),
        inferer=dict(type='StreamedWindowInferer', roi_size=(16, 16, 16), mode='gaussian'),
    )
    if medcontext:
        config['teacher'] = dict(type='EMATeacher')
        config['auxiliary'] = dict(
            medcontext=dict(
                type='MedContextHead',
                masking=dict(type='TubeMask', ratio=0.5),
                patch_size=(4, 4, 4),
                consistency=dict(type='ConsistencyLoss'),
            )
        )
    return config


def batch(count: int = 2, size: int = 16, num_classes: int = 3, seed: int = 0):
    """Random inputs (N, 1, s, s, s) with labels that depend on them, and their samples."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 1, size, size, size, generator=generator)
    samples = []
    for image in inputs:
        sample = VolumeDataSample(metainfo=dict(affine=np.eye(4)))
        label = ((image > 0.5).long() + (image > 1).long()).clamp_max(num_classes - 1)
        sample.gt_sem_seg = VolumeData(data=label)
        samples.append(sample)
    return inputs, samples


@pytest.fixture
def segmentor():
    """A primed MedContext segmentor, weights fixed by seed."""
    torch.manual_seed(0)
    model = MODELS.build(tiny_segmentor_config())
    model.prime_teacher()
    return model


@pytest.fixture
def nifti_dataset(tmp_path):
    """A data set in Decathlon form: 4 training, 1 validation, 2 test volumes of 20x24x18 voxels, 2 organs."""
    import json

    rng = np.random.default_rng(0)
    splits: dict[str, list[dict]] = {'training': [], 'validation': [], 'test': []}
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    for number, split in enumerate(['training'] * 4 + ['validation'] + ['test'] * 2):
        grid = np.stack(np.meshgrid(*map(np.arange, (20, 24, 18)), indexing='ij'))
        label = np.zeros((20, 24, 18), np.uint8)
        for organ, centre in ((1, (6, 8, 8)), (2, (14, 16, 10))):
            shift = rng.uniform(-2, 2, 3)
            distance = np.linalg.norm(grid - (np.asarray(centre) + shift)[:, None, None, None], axis=0)
            label[distance < 4.5] = organ
        image = (100 * label + rng.normal(0, 15, label.shape)).astype(np.int16)
        for kind, array in (('image', image), ('label', label)):
            nib.save(nib.Nifti1Image(array, affine), tmp_path / f'{kind}{number}.nii.gz')
        splits[split].append({'image': f'image{number}.nii.gz', 'label': f'label{number}.nii.gz'})
    listing = {'labels': {'0': 'background', '1': 'near', '2': 'far'}, 'modality': {'0': 'CT'}, **splits}
    (tmp_path / 'dataset.json').write_text(json.dumps(listing))
    return tmp_path

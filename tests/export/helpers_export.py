"""A training run as it lies on disk, with weights nobody trained, and a scan."""

from __future__ import annotations

import copy
import runpy
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from conftest import tiny_segmentor_config
from mmengine.config import Config

from medctx3d.registry import MODELS

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
LOAD = [
    dict(type='LoadVolume'),
    dict(
        type='monai.transforms.Orientationd',
        keys=['image', 'label'],
        axcodes='RAS',
        labels=None,
        allow_missing_keys=True,
    ),
    dict(
        type='monai.transforms.Spacingd',
        keys=['image', 'label'],
        pixdim=(1.0, 1.0, 2.0),
        mode=('bilinear', 'nearest'),
        allow_missing_keys=True,
    ),
    dict(
        type='monai.transforms.ScaleIntensityRanged',
        keys=['image'],
        a_min=-175.0,
        a_max=250.0,
        b_min=0.0,
        b_max=1.0,
        clip=True,
    ),
]


def run_tool(name: str, *arguments: object) -> None:
    runpy.run_path(str(TOOLS / name))['main']([str(argument) for argument in arguments])


def make_config(root: Path, *, medcontext: bool = False, **model: object) -> Config:
    dataset = dict(
        type='VolumeDataset',
        ann_file='dataset.json',
        data_root=str(root),
        load_pipeline=LOAD,
        pipeline=[dict(type='PackVolume')],
        split='test',
        store=dict(type='PreparedStore', root=str(root / 'store')),
        metainfo=dict(classes=('background', 'near', 'far'), channels=('CT',)),
    )
    loader = dict(
        batch_size=1,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='pseudo_collate'),
        dataset=dataset,
    )
    settings = dict(tiny_segmentor_config(medcontext=medcontext), **model)
    return Config(dict(default_scope='medctx3d', model=settings, test_dataloader=loader))


def save_run(root: Path, *, medcontext: bool = False, **model: object) -> tuple[Path, Path]:
    """A config and a checkpoint, the teacher's weights being others than the student's."""
    config = make_config(root, medcontext=medcontext, **model)
    config.dump(root / 'run.py')
    torch.manual_seed(3)
    trained = MODELS.build(copy.deepcopy(config.model))
    trained.prime_teacher()
    with torch.no_grad():
        for weight in trained.network.parameters():
            weight += 0.1 * torch.randn_like(weight)
    torch.save(dict(state_dict=trained.state_dict(), meta={}), root / 'iter_1.pth')
    return root / 'run.py', root / 'iter_1.pth'


def save_scan(path: Path, *, affine: np.ndarray | None = None, shape: tuple[int, ...] = (20, 18, 17)) -> Path:
    """Smooth noise within the window of intensities, on a grid as fine as the working grid."""
    rng = np.random.default_rng(0)
    image = rng.normal(0, 120, shape).astype(np.float32)
    image = (image + np.roll(image, 1, 0) + np.roll(image, 1, 1)) / 2
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(image, np.diag([-1.0, -1.0, 2.0, 1.0]) if affine is None else affine), path)
    return path

"""Images of different voxel sizes in one folder: the load pipeline brings them to one spacing."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.optim import OptimWrapper

from medctx3d.datasets import UnlabelledDataset
from medctx3d.registry import MODELS

SPACING = (2.0, 1.5, 2.5)  # mm, of the working grid
FILES = {  # spacing in mm, voxels: fields of view of several sizes
    'fine': ((1.0, 0.8, 1.25), (33, 41, 29)),
    'thick': ((0.9, 0.9, 5.0), (40, 34, 9)),
}
LOAD = [
    dict(type='LoadVolume'),
    dict(type='monai.transforms.Orientationd', keys=['image'], axcodes='RAS', labels=None),
    dict(type='monai.transforms.Spacingd', keys=['image'], pixdim=SPACING, mode='bilinear'),
]
BACKBONE = dict(type='UNetEncoder', in_channels=1, channels=(4, 8), strides=(1, 2))
METHODS = {
    'moco': dict(
        type='MoCo',
        network=dict(
            type='EmbeddingNet',
            backbone=BACKBONE,
            projector=dict(type='Projector', hidden_channels=8, out_channels=8, num_layers=2),
        ),
        views=dict(type='RandomViews', size=(8, 8, 8)),
        teacher=dict(type='EMATeacher'),
    ),
    'masked_autoencoder': dict(
        type='MaskedAutoencoder',
        network=dict(type='EncoderDecoder', backbone=BACKBONE, decode_head=dict(type='UNetDecoder', num_classes=1)),
        masking=dict(type='RandomMask', ratio=0.5),
        patch_size=(4, 4, 4),
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An image per file, stored with the first axis pointing left, whose intensity says where a voxel lies."""
    for name, (spacing, shape) in FILES.items():
        affine = np.diag([-spacing[0], *spacing[1:], 1.0])
        affine[:3, 3] = (30.0, -12.0, 4.0)
        (tmp_path / 'ct').mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image(place(affine, shape), affine), tmp_path / 'ct' / f'{name}.nii.gz')
    return tmp_path


def place(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """x + 2 y + 3 z in mm at every voxel; linear, so that linear resampling keeps it."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing='ij'), axis=-1)
    return ((index @ affine[:3, :3].T + affine[:3, 3]) @ (1.0, 2.0, 3.0)).astype(np.float32)


def dataset(folder: Path, stored: bool, pipeline: list[dict]) -> UnlabelledDataset:
    store = dict(type='PreparedStore', root=str(folder / 'store'), num_workers=0) if stored else None
    return UnlabelledDataset('ct', str(folder), load_pipeline=LOAD, pipeline=pipeline, store=store)


@pytest.mark.parametrize('stored', [False, True])
def test_every_volume_comes_out_at_one_spacing_with_its_own_extent_and_content(folder, stored):
    volumes = dataset(folder, stored, [dict(type='PackVolume')])
    assert len(volumes) == 2
    for sample in volumes:
        spacing, shape = FILES[sample['data_samples'].case]
        sides = [round((n - 1) * old / new) + 1 for n, old, new in zip(shape, spacing, SPACING, strict=True)]
        assert sample['inputs'].shape == (1, *sides)
        affine = np.asarray(sample['data_samples'].affine)
        np.testing.assert_allclose(affine[:3, :3], np.diag(SPACING), atol=1e-6)
        wanted = place(affine, tuple(sides))
        inside = (slice(1, -1),) * 3  # the grid's last voxels may lie beyond the image's
        rounding = 2**-11 if stored else 0.0  # the store holds half precision
        np.testing.assert_allclose(sample['inputs'][0].numpy()[inside], wanted[inside], rtol=rounding, atol=1e-3)


@pytest.mark.parametrize('method', sorted(METHODS))
def test_a_pretraining_takes_a_step_on_them(folder, method):
    crops = dataset(folder, True, [dict(type='ForegroundCrop', size=(16, 16, 12)), dict(type='PackVolume')])
    torch.manual_seed(0)
    model = MODELS.build(METHODS[method])
    model.prime_teacher()
    before = [weight.clone() for weight in model.network.backbone.parameters()]
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3))
    terms = {}
    for _ in range(2):  # the first batch of MoCo finds an empty queue
        terms = model.train().train_step(pseudo_collate([crops[0], crops[1]]), optimizer)
    assert terms['loss'].isfinite()
    assert any(not torch.equal(old, new) for old, new in zip(before, model.network.backbone.parameters(), strict=True))

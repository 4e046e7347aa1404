"""A small clean data set, ways to spoil it, and what the doctor says of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from scipy import ndimage

from medctx3d.datasets import VolumeDataset
from medctx3d.diagnosis import Facts, Finding, run_checks
from medctx3d.diagnosis.gathering import gather
from medctx3d.diagnosis.pipeline_facts import PipelineFacts

CLASSES = ('background', 'liver', 'spleen', 'right_kidney', 'left_kidney')
SPLITS = {'training': range(5), 'validation': range(5, 6), 'test': range(6, 8)}
STAGES = {'train': 'training', 'val': 'validation', 'test': 'test'}
SHAPE = (24, 22, 20)
AFFINE = np.array([[2.0, 0, 0, -24], [0, 2.0, 0, -22], [0, 0, 3.0, -30], [0, 0, 0, 1]])
CENTRES = {1: (17, 11, 14), 2: (6, 9, 14), 3: (17, 9, 5), 4: (7, 9, 5)}  # voxels; +x is the patient's right
LOAD = [
    dict(type='LoadVolume'),
    dict(type='monai.transforms.Orientationd', keys=['image', 'label'], axcodes='RAS', labels=None),
    dict(type='monai.transforms.ScaleIntensityRanged', keys=['image'], a_min=-200, a_max=300, b_min=0.0, b_max=1.0),
]
DATASET: dict[str, Any] = dict(
    load_pipeline=LOAD,
    pipeline=[dict(type='ForegroundCrop', size=(16, 16, 16)), dict(type='PackVolume')],
    metainfo=dict(classes=CLASSES, channels=('CT',)),
)


def build(folder: Path) -> Path:
    """Eight cases of two organs and two kidneys in noise that is each case's own, with a list."""
    for number in range(8):
        rng = np.random.default_rng(number)
        grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing='ij')).astype(float)
        label = np.zeros(SHAPE, np.uint8)
        for organ, centre in CENTRES.items():
            shift = rng.uniform(-0.7, 0.7, 3)
            label[np.linalg.norm(grid - (centre + shift)[:, None, None, None], axis=0) < 3.6] = organ
        texture = ndimage.gaussian_filter(rng.normal(0, 1, SHAPE), 1.0)
        image = 40 + 60 * texture / texture.std() + 15 * label + rng.normal(0, 6, SHAPE)
        image[:, :3] = -1000 + rng.normal(0, 10, (SHAPE[0], 3, SHAPE[2]))  # air
        for kind, voxels in (('image', image.astype(np.int16)), ('label', label)):
            save(folder / f'{kind}{number}.nii.gz', voxels)
    write_list(folder, {split: [entry(number) for number in numbers] for split, numbers in SPLITS.items()})
    return folder


def entry(number: int) -> dict[str, Any]:
    return dict(image=f'image{number}.nii.gz', label=f'label{number}.nii.gz', subject=f'p{number}')


def save(path: Path, voxels: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    image = nib.Nifti1Image(voxels, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units('mm')
    nib.save(image, path)


def write_list(folder: Path, splits: dict[str, list]) -> None:
    (folder / 'dataset.json').write_text(json.dumps(splits), encoding='utf-8')


def read_facts(folder: Path, *, voxels: bool = True, **changes: Any) -> Facts:
    """Facts of the set, read in this process; ``changes`` go into the config of every split."""
    datasets = {}
    for stage, split in STAGES.items():
        config = dict(DATASET, **changes)
        dataset = VolumeDataset('dataset.json', str(folder), split=split, lazy_init=True, **config)
        datasets[stage] = (dataset, PipelineFacts.of(config))
    return gather(datasets, voxels=voxels)


def diagnose(folder: Path, **changes: Any) -> list[Finding]:
    return run_checks(read_facts(folder, **changes), ('list', 'header', 'voxels'))


class Spoiler:
    """Ways to spoil a copy of the set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        return self.folder / f'{name}.nii.gz'

    def voxels(self, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
        """Replace the voxels of a file."""
        image: Any = nib.load(self.path(name))
        save(self.path(name), change(np.asarray(image.dataobj).copy()), image.affine)

    def header(self, name: str, change: Callable[[Any], object]) -> None:
        """Change an image object's header or forms."""
        image: Any = nib.load(self.path(name))
        spoilt = nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
        change(spoilt)
        nib.save(spoilt, self.path(name))

    def case(self, number: int, affine: np.ndarray) -> None:
        """Another affine for image and label."""
        for kind in ('image', 'label'):
            image: Any = nib.load(self.path(f'{kind}{number}'))
            save(self.path(f'{kind}{number}'), np.asarray(image.dataobj), affine)

    def bytes(self, name: str, change: Callable[[bytes], bytes]) -> None:
        """Change a file's bytes."""
        self.path(name).write_bytes(change(self.path(name).read_bytes()))

    def relist(self, change: Callable[[dict[str, list]], object]) -> None:
        """Change the list."""
        splits = json.loads((self.folder / 'dataset.json').read_text(encoding='utf-8'))
        change(splits)
        write_list(self.folder, splits)

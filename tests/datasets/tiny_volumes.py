"""Small NIfTI data sets for the tests of this folder."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np

METAINFO = dict(classes=('background', 'large', 'small'))
AFFINE = np.array([[-1.0, 0, 0, 40], [0, 1.5, 0, -10], [0, 0, 2, 5], [0, 0, 0, 1]])
LOAD = [
    dict(type='LoadVolume'),
    dict(type='monai.transforms.Orientationd', keys=['image', 'label'], axcodes='RAS', labels=None),
    dict(type='monai.transforms.ScaleIntensityRanged', keys=['image'], a_min=-100, a_max=100, b_min=0.0, b_max=1.0),
]


def write_case(folder: Path, case: str, seed: int, shape: tuple[int, int, int] = (20, 18, 16)) -> dict[str, str]:
    """An image of noise with a large and a small box, stored with the first axis pointing left."""
    rng = np.random.default_rng(seed)
    label = np.zeros(shape, np.uint8)
    label[2:12, 3:13, 4:12] = 1
    label[14:16, 14:16, 12:14] = 2
    image = (rng.normal(0, 20, shape) + 30 * label).astype(np.int16)
    record = dict(case=case)
    for name, array in (('image', image), ('label', label)):
        record[name] = str(folder / f'{case}_{name}.nii.gz')
        nib.save(nib.Nifti1Image(array, AFFINE), record[name])
    return record


def write_list(folder: Path, records: list[dict[str, str]]) -> str:
    """An MSD list of the records, all for training."""
    path = folder / 'dataset.json'
    path.write_text(json.dumps(dict(training=records)))
    return str(path)

"""A work dir as trainings and tests leave it, made without either."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np

CLASSES = ('background', 'near', 'far')
CONFIG = """
randomness = dict(seed=7, diff_rank_seed=True)
dataset = dict(
    type='VolumeDataset',
    ann_file='dataset.json',
    data_root={root!r},
    load_pipeline=[
        dict(type='LoadVolume'),
        dict(type='monai.transforms.ScaleIntensityRanged', keys=['image'], a_min=-50, a_max=250, b_min=0, b_max=1),
    ],
    metainfo=dict(classes={classes!r}),
)
train_dataloader = dict(batch_size=2, dataset=dict(dataset, split='training'))
test_dataloader = dict(batch_size=1, dataset=dict(dataset, split='test', test_mode=True))
"""
LOG = """2026/01/01 00:00:00 - mmengine - INFO -
------------------------------------------------------------
System environment:
    sys.platform: linux
    PyTorch: 2.13.0

Runtime environment:
    seed: 7
    mp_cfg: {'mp_start_method': 'fork'}
------------------------------------------------------------
    not: environment
"""


def cases_of(root: Path) -> list[str]:
    return [Path(entry['image']).name[: -len('.nii.gz')] for entry in listing(root)['test']]


def listing(root: Path) -> dict:
    return json.loads((root / 'dataset.json').read_text())


def write_listing(root: Path, content: dict) -> None:
    (root / 'dataset.json').write_text(json.dumps(content))


def swap_splits(root: Path) -> Path:
    """The shared data set with its four volumes as test split, and the two as training split."""
    content = listing(root)
    write_listing(root, {**content, 'training': content['test'], 'test': content['training']})
    return root


def write_training(run: Path, root: Path, *, time: str = '20260101_000000') -> Path:
    folder = run / time
    (folder / 'vis_data').mkdir(parents=True)
    (folder / f'{time}.log').write_text(LOG)
    (folder / 'vis_data' / 'config.py').write_text(CONFIG.format(root=str(root), classes=CLASSES))
    rows = []
    for step in (10, 20, 30):
        row = {'lr': 1e-3 / step, 'loss': 30 / step, 'loss_dice_ce': 20 / step, 'medcontext.loss_consistency': 0.1}
        rows.append({**row, 'medcontext.disagreement_hidden': 0.2, 'time': 0.5, 'iter': step, 'step': step})
        rows.append({'dice': step / 40, 'hd95': 40 - step, 'dice/near': 0.5, 'step': 0})
    (folder / 'vis_data' / 'scalars.json').write_text(''.join(json.dumps(row) + '\n' for row in rows))
    return folder


def write_test(run: Path, root: Path, *, predictions: bool = True) -> dict:
    """Predictions are the truth moved by one voxel more from case to case; figures go down with them."""
    cases = []
    for number, case in enumerate(cases_of(root)):
        truth = nib.load(root / f'{case.replace("image", "label")}.nii.gz')
        if predictions:
            (run / 'predictions').mkdir(parents=True, exist_ok=True)
            moved = np.roll(np.asarray(truth.dataobj), number, axis=0)
            nib.save(nib.Nifti1Image(moved, truth.affine), run / 'predictions' / f'{case}.nii.gz')
        near = dict(dice=0.9 - 0.1 * number, hd95=1.0 + number)
        cases.append(dict(case=case, classes=dict(near=near, far=dict(dice=None if number == 0 else 0.5, hd95=None))))
    means = {
        name: {
            metric: float(
                np.nanmean([np.nan if (v := case['classes'][name][metric]) is None else v for case in cases])
            )
            for metric in ('dice', 'hd95')
            if (name, metric) != ('far', 'hd95')
        }
        for name in ('near', 'far')
    }
    results = dict(
        mean=dict(dice=0.7, hd95=2.5),
        classes=dict(near=dict(means['near'], cases=4), far=dict(dice=means['far']['dice'], hd95=None, cases=3)),
        cases=cases,
        rules=dict(reported=['near', 'far'], absent='nan', nsd_tolerance_mm=2.0),
    )
    run.mkdir(parents=True, exist_ok=True)
    (run / 'results.json').write_text(json.dumps(results))
    return results

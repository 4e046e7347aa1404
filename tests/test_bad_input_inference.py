"""Bad input of a prediction as a person meets it: through tools/infer.py, one message and an exit code."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from dicom_files import write_series

from medctx3d.apis import init_model
from medctx3d.engine.launch import load_config

ROOT = Path(__file__).resolve().parents[1]
CONFIG = """
_base_ = ['{root}/configs/unet/unet_hippocampus.py']
load = [
    dict(type='LoadVolume'),
    dict(type='monai.transforms.ScaleIntensityRanged', keys=['image'], a_min=-175, a_max=250, b_min=0.0, b_max=1.0),
]
metainfo = dict(_delete_=True, classes=('background', 'near', 'far'), channels=('CT',))
crop = [dict(type='ForegroundCrop', size=(16, 16, 16)), dict(type='PackVolume')]
train_dataloader = dict(dataset=dict(pipeline=crop, load_pipeline=load, metainfo=metainfo))
val_dataloader = dict(dataset=dict(load_pipeline=load, metainfo=metainfo))
test_dataloader = dict(dataset=dict(load_pipeline=load, metainfo=metainfo))
model = dict(
    network=dict(backbone=dict(channels=(4, 8), strides=(1, 2)), decode_head=dict(num_classes=3)),
    inferer=dict(roi_size=(16, 16, 16)),
)
"""
VOXELS = np.random.default_rng(0).integers(-1000, 1000, (16, 16, 16)).astype(np.int16)


def save(path: Path, voxels: np.ndarray = VOXELS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)
    return path


@pytest.fixture(scope='module')
def model(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp('model')
    (folder / 'tiny.py').write_text(CONFIG.format(root=ROOT))
    network = init_model(load_config(folder / 'tiny.py'), device='cpu')
    torch.save(dict(state_dict=network.state_dict()), folder / 'tiny.pth')
    return folder / 'tiny.py', folder / 'tiny.pth'


@pytest.fixture
def infer(tmp_path, model, monkeypatch, capsys):
    """Exit code, standard output and standard error of the tool, called in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object, out: str = 'out') -> tuple[int, str, str]:
        line = ['infer.py', *model, *arguments, '--out', out, '--device', 'cpu']
        monkeypatch.setattr(sys, 'argv', [str(part) for part in line])
        try:
            runpy.run_path(str(ROOT / 'tools' / 'infer.py'), run_name='__main__')
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        told = capsys.readouterr()
        assert 'Traceback' not in told.err
        return status, told.out, told.err

    return call


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['z/*.nii'], ['the pattern z/*.nii matches no file']),
        (['gone.nii.gz'], ['the input gone.nii.gz does not exist', 'quoted patterns']),
        (['four.nii.gz'], ['four.nii.gz', "must have the data set's 1 channel(s) (CT), it has 4"]),
        (['x/a.nii.gz', 'y/a.nii.gz'], ['two cases would both be written as a', 'x/a.nii.gz', 'y/a.nii.gz']),
        (['two_series'], ['must hold one DICOM series, it holds 2', 'Abdomen (CT, 16 files)', 'Lung (CT, 16 files)']),
        (['x/a.nii.gz', '--max-memory', '1MB'], ['a.nii.gz', '1 MB']),
        (['x/a.nii.gz', '--networks', 'teacher'], ["'teacher' is to predict, but the config has no model.teacher"]),
        (['x/a.nii.gz', '--workers', '0'], ['workers must be at least 1, got 0']),
        (['x/a.nii.gz', '--overlap', '1.5'], ['overlap must be at least 0 and less than 1, got 1.5']),
        (['x/a.nii.gz', '--ensemble', 'gone.pth'], ['gone.pth']),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, list) else '',
)
def test_what_cannot_be_done_is_refused_before_the_first_case(infer, arguments, words):
    for name in ('x/a', 'y/a'):
        save(Path(f'{name}.nii.gz'))
    save(Path('four.nii.gz'), np.stack([VOXELS] * 4, axis=-1))
    if 'two_series' in arguments:
        write_series(Path('two_series'), VOXELS, uid='1.1')
        write_series(Path('two_series'), VOXELS, uid='1.2', description='Lung')
    status, out, err = infer(*arguments)
    assert status == 1
    for word in words:
        assert word in err
    assert 'done' not in out
    assert not list(Path().glob('out/*'))


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--format', '.png'], "invalid choice: '.png'"),
        (['--mirror', 'lr'], "must be some of the letters x, y and z, got 'lr'"),
        (['--max-memory', 'much'], "an amount of memory must read like '4GB'"),
    ],
)
def test_misspelt_options_end_with_the_usage(infer, arguments, words):
    status, _, err = infer('a.nii.gz', *arguments)
    assert status == 2
    assert words in err


def test_one_bad_case_among_others_is_left_out_and_named_at_the_end(infer):
    for name in ('a', 'b', 'c'):
        save(Path(f'scans/{name}.nii.gz'))
    save(Path('scans/four.nii.gz'), np.stack([VOXELS] * 4, axis=-1))
    whole = Path('scans/b.nii.gz').read_bytes()
    Path('scans/b.nii.gz').write_bytes(whole[:-100])
    status, out, err = infer('scans')
    assert status == 1
    assert 'done: 2 segmentations' in out
    assert 'error: 2 of 4 cases have no segmentation: b (scans/b.nii.gz: ' in err
    assert 'four (scans/four.nii.gz: ' in err
    assert sorted(path.name for path in Path('out').glob('*.nii.gz')) == ['a.nii.gz', 'c.nii.gz']


def test_a_picture_for_a_ct_model_is_segmented_with_a_warning(infer):
    save(Path('photo.nii.gz'), (VOXELS % 256).astype(np.uint8))
    status, out, _ = infer('photo.nii.gz')
    assert status == 0
    assert 'photo: warning: intensities lie between 0 and 255, the model (CT) looks at -175 to 250' in out


def test_a_folder_of_another_run_is_refused_until_told_otherwise(infer):
    save(Path('a.nii.gz'))
    assert infer('a.nii.gz')[0] == 0
    status, _, err = infer('a.nii.gz', '--mirror', 'y')
    assert status == 1
    assert 'holds results of another model or of other options: mirror_axes [], now [1]' in err
    assert infer('a.nii.gz', '--mirror', 'y', '--overwrite')[0] == 0
    Path('mine').mkdir()
    save(Path('mine/a.nii.gz'))
    status, _, err = infer('a.nii.gz', out='mine')
    assert status == 1
    assert 'mine holds a.nii.gz already (1 such files), and inference.json does not say where from' in err

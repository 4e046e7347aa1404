"""From NIfTI files to judged and predicted volumes, through the tools as a person calls them."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
CONFIG = 'configs/medcontext/unet_phantom.py'
SMALL = [
    'model.network.backbone.channels=(4,8)',
    'model.network.backbone.strides=(1,2)',
    'model.network.decode_head.num_classes=3',
]


def call(tool, *arguments, check=True, **environment):
    variables = dict(os.environ, OMP_NUM_THREADS='1', OMP_WAIT_POLICY='PASSIVE', PYTHONPATH=str(ROOT), **environment)
    command = [sys.executable, f'tools/{tool}.py', *map(str, arguments)]
    finished = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=300, check=False
    )
    if check:
        assert finished.returncode == 0, finished.stdout[-2000:] + finished.stderr[-4000:]
    return finished


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A run of the demo config, narrow and short, on two-organ volumes."""
    from conftest import nifti_dataset

    root = nifti_dataset.__wrapped__(tmp_path_factory.mktemp('data'))
    work_dir = tmp_path_factory.mktemp('run')
    data = []
    for loader in ('train', 'val', 'test'):
        dataset = f'{loader}_dataloader.dataset'
        data += [
            f'{dataset}.store.root={work_dir}/prepared',
            f"{dataset}.metainfo.classes=('background','near','far')",
            f'{dataset}.metainfo.label_map=None',
            f'{dataset}.metainfo.mirror_pairs=None',
            f'{dataset}.load_pipeline.2.a_max=300.0',
        ]
    data += ['train_dataloader.dataset.pipeline.0.size=(16,16,16)', 'model.inferer.roi_size=(16,16,16)']
    data += ['train_cfg.max_iters=20', 'train_cfg.val_interval=10', *SMALL]
    finished = call('train', CONFIG, '--work-dir', work_dir, '--cfg-options', *data, PHANTOM_ROOT=str(root))
    return root, work_dir, data, finished


def test_training_says_what_it_does_and_where_results_lie(trained):
    _, work_dir, _, finished = trained
    assert 'iteration 20/20' in finished.stdout
    assert 'validation after 20 iterations: mean Dice' in finished.stdout
    assert f'lie in {work_dir}' in finished.stdout
    assert (work_dir / 'iter_20.pth').is_file()
    assert 'Traceback' not in finished.stderr


def test_testing_writes_table_figures_predictions_and_pictures(trained):
    root, work_dir, data, _ = trained
    out = work_dir / 'test'
    arguments = (
        CONFIG,
        work_dir / 'iter_20.pth',
        '--work-dir',
        work_dir,
        '--out',
        out,
        '--save-predictions',
        '--overlay',
    )
    finished = call('test', *arguments, '--cfg-options', *data, PHANTOM_ROOT=str(root))
    results = json.loads((out / 'results.json').read_text())
    assert {'dice', 'hd95', 'nsd', 'iou', 'asd'} <= set(results['mean'])
    assert len(results['cases']) == 2
    assert 'near' in finished.stdout
    assert len(list((out / 'overlays').glob('*.png'))) == 2
    for path in (out / 'predictions').glob('*.nii.gz'):
        image = nib.load(root / f'{path.name}')
        prediction = nib.load(path)
        assert prediction.shape == image.shape
        assert np.array_equal(prediction.affine, image.affine)


def test_inference_lies_exactly_over_a_scan_in_another_orientation(trained):
    root, work_dir, data, _ = trained
    image = nib.load(root / 'image5.nii.gz')
    turned = image.as_reoriented(nib.orientations.axcodes2ornt(('P', 'S', 'R')))
    turned = nib.Nifti1Image(np.asarray(turned.dataobj), turned.affine)
    scan = work_dir / 'turned.nii.gz'
    nib.save(turned, scan)
    out = work_dir / 'mine'
    call('infer', CONFIG, work_dir / 'iter_20.pth', scan, '--out', out, '--cfg-options', *data, PHANTOM_ROOT=str(root))
    prediction = nib.load(out / 'turned.nii.gz')
    assert prediction.shape == turned.shape
    assert np.array_equal(prediction.affine, turned.affine)
    straight = work_dir / 'straight'
    call('infer', CONFIG, work_dir / 'iter_20.pth', root / 'image5.nii.gz', '--out', straight, '--cfg-options', *data)
    plain = nib.load(straight / 'image5.nii.gz')
    back = prediction.as_reoriented(nib.orientations.io_orientation(prediction.affine))
    assert np.array_equal(np.asarray(back.dataobj), np.asarray(plain.dataobj))


def test_resume_continues_and_mixed_precision_runs(trained):
    root, work_dir, data, _ = trained
    longer = [*data, 'train_cfg.max_iters=24']
    finished = call(
        'train', CONFIG, '--work-dir', work_dir, '--resume', '--amp', '--cfg-options', *longer, PHANTOM_ROOT=str(root)
    )
    assert 'iteration 24/24' in finished.stdout
    assert (work_dir / 'iter_24.pth').is_file()


TOOLS = sorted(path for path in (ROOT / 'tools').rglob('*.py'))


@pytest.mark.parametrize('tool', TOOLS, ids=lambda path: path.stem)
def test_every_tool_explains_itself(tool, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', [tool.name, '--help'])
    monkeypatch.syspath_prepend(tool.parent)  # as Python does for a script
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(tool), run_name='__main__')
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert 'usage:' in text
    assert len(text.splitlines()) >= 8

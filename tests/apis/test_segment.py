from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from tiny_inference import make_config, save_scan

from medctx3d.apis import (
    VolumeInferencer,
    find_cases,
    init_model,
    save_segmentation,
    segment_volume,
    segmentation_on_source_grid,
)
from medctx3d.apis.case_files import check_out_dir
from medctx3d.engine.checkpoint import CheckpointError
from medctx3d.registry import MODELS

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


LPS = np.array([[-1.2, 0, 0, 40], [0, -0.8, 0.1, 35], [0, 0.1, 3.0, -20], [0, 0, 0, 1]])


@pytest.fixture
def labels():
    volume = np.zeros((20, 18, 12), np.uint8)
    volume[4:15, 3:11, 2:9] = 1
    volume[6:9, 12:15, 4:10] = 2
    return volume


@pytest.fixture
def scans(tmp_path, labels):
    folder = tmp_path / 'scans'
    folder.mkdir()
    save_scan(folder / 'one.nii.gz', labels, LPS)
    save_scan(folder / 'two.nii.gz', labels[::-1], np.diag([2.0, 2, 2, 1]))
    return folder


@pytest.fixture
def config_file(tmp_path):
    config = make_config(tmp_path)
    config.dump(tmp_path / 'config.py')
    torch.save(dict(state_dict=init_model(config, device='cpu').state_dict()), tmp_path / 'weights.pth')
    return tmp_path / 'config.py'


def test_an_oblique_lps_scan_is_segmented_on_its_own_grid(tmp_path, scans, labels):
    model = init_model(make_config(tmp_path), device='cpu')
    sample = segment_volume(model, scans / 'one.nii.gz')
    assert tuple(sample.pred_sem_seg.shape) != labels.shape  # cropped on the working grid
    np.testing.assert_array_equal(segmentation_on_source_grid(sample), labels)
    save_segmentation(sample, tmp_path / 'out' / 'one.nii.gz')
    saved, scan = nib.load(tmp_path / 'out' / 'one.nii.gz'), nib.load(scans / 'one.nii.gz')
    np.testing.assert_array_equal(saved.affine, scan.affine)
    np.testing.assert_array_equal(np.asarray(saved.dataobj), labels)
    assert (int(saved.header['qform_code']), int(saved.header['sform_code'])) == (1, 2)


def test_real_scans_come_back_on_their_grid(tmp_path):
    root = os.environ.get('MEDCTX3D_DATA')
    if not root:
        pytest.skip('set MEDCTX3D_DATA to the folder of real volumes')
    model = init_model(make_config(tmp_path), device='cpu')
    scans = [
        *sorted(Path(root, 'tiny_fixtures').rglob('*.nii.gz')),
        Path(root, 'totalseg_samples/images/ts_ct_abdomen.nii.gz'),
    ]
    usable = [scan for scan in scans if nib.load(scan).ndim == 3]
    assert len(usable) >= 8
    for scan in usable:
        source = nib.load(scan)
        save_segmentation(segment_volume(model, scan), tmp_path / 'out.nii.gz')
        saved = nib.load(tmp_path / 'out.nii.gz')
        assert saved.shape == source.shape
        np.testing.assert_array_equal(saved.affine, source.affine)


def test_channels_in_files_of_their_own_make_one_case(tmp_path, labels):
    folder = tmp_path / 'scans'
    folder.mkdir()
    save_scan(folder / 'a.nii.gz', labels, LPS, split_channels=True)
    inferencer = VolumeInferencer(init_model(make_config(tmp_path, channels=('T1', 'T2')), device='cpu'))
    written = inferencer([folder], tmp_path / 'out', progress=False)
    assert written.written == [tmp_path / 'out' / 'a.nii.gz']
    np.testing.assert_array_equal(np.asarray(nib.load(written.written[0]).dataobj), labels)


def test_a_scan_with_too_few_channels_is_refused_before_any_is_segmented(tmp_path, scans):
    inferencer = VolumeInferencer(init_model(make_config(tmp_path, channels=('T1', 'T2')), device='cpu'))
    with pytest.raises(ValueError, match=r'one\.nii\.gz.* 2 channel'):
        inferencer([scans], tmp_path / 'out', progress=False)
    assert not (tmp_path / 'out').exists()


def test_prediction_leaves_out_what_only_training_needs(tmp_path):
    head = dict(
        type='MedContextHead', masking=dict(type='TubeMask', ratio=0.5), patch_size=(4, 4, 4),
        consistency=dict(type='ConsistencyLoss'),
    )  # fmt: skip
    config = make_config(tmp_path, teacher=dict(type='EMATeacher'), auxiliary=dict(medcontext=head))
    full = MODELS.build(config.model)
    full.prime_teacher()
    torch.save(dict(state_dict=full.state_dict()), tmp_path / 'full.pth')
    student = init_model(config, tmp_path / 'full.pth', device='cpu')
    assert student.teacher is None
    assert not student.training
    options = {'model.test_cfg': dict(predict_with='teacher')}
    assert init_model(config, tmp_path / 'full.pth', device='cpu', cfg_options=options).teacher is not None
    torch.save(dict(state_dict=student.state_dict()), tmp_path / 'student.pth')
    with pytest.raises(CheckpointError, match='missing'):
        init_model(config, tmp_path / 'student.pth', device='cpu', cfg_options=options)


def test_a_model_comes_from_files_alone(tmp_path, scans, labels, config_file):
    model = init_model(config_file, tmp_path / 'weights.pth', device='cpu')
    np.testing.assert_array_equal(
        segmentation_on_source_grid(segment_volume(model, str(scans / 'one.nii.gz'))), labels
    )
    assert model.cfg.test_dataloader.dataset.split == 'test'


def test_a_config_without_test_data_cannot_say_how_to_prepare_a_scan(tmp_path, scans):
    config = make_config(tmp_path)
    config.test_dataloader = None
    with pytest.raises(ValueError, match='test_dataloader'):
        segment_volume(init_model(config, device='cpu'), scans / 'one.nii.gz')


def test_results_never_land_among_the_inputs_or_in_a_file(tmp_path, scans):
    cases = find_cases([scans])
    with pytest.raises(ValueError, match='choose another folder'):
        check_out_dir(scans / '..' / 'scans', cases)
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match=r'the output folder .* it is a file'):
        check_out_dir(tmp_path / 'file', cases)


def run_tool(name, *arguments):
    runpy.run_path(str(TOOLS / name))['main']([str(argument) for argument in arguments])


def test_infer_writes_segmentations_and_pictures_and_says_where(tmp_path, scans, labels, config_file, capsys):
    out = tmp_path / 'out'
    run_tool('infer.py', config_file, tmp_path / 'weights.pth', scans, '--out', out, '--overlay', '--device', 'cpu')
    np.testing.assert_array_equal(np.asarray(nib.load(out / 'two.nii.gz').dataobj), labels[::-1])
    names = ['inference.json', 'one.nii.gz', 'one.png', 'two.nii.gz', 'two.png']
    assert sorted(path.name for path in out.rglob('[!.]*.*') if '.claims' not in path.parts) == names
    shown = capsys.readouterr().out
    assert '1 near, 2 far' in shown
    assert f'done: 2 segmentations in {out}' in shown


def test_a_broken_scan_is_named_and_the_others_are_segmented(tmp_path, scans, config_file):
    content = (scans / 'two.nii.gz').read_bytes()
    (scans / 'two.nii.gz').write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r'two\.nii\.gz'):
        run_tool(
            'infer.py', config_file, tmp_path / 'weights.pth', scans, '--out', tmp_path / 'out', '--device', 'cpu'
        )
    assert sorted(path.name for path in (tmp_path / 'out').glob('*.nii.gz')) == ['one.nii.gz']


@pytest.fixture
def training_list(tmp_path, labels):
    cases = []
    for number in range(3):
        save_scan(tmp_path / f'image{number}.nii.gz', labels, LPS)
        nib.save(nib.Nifti1Image(labels, LPS), tmp_path / f'label{number}.nii.gz')
        cases.append({'image': f'image{number}.nii.gz', 'label': f'label{number}.nii.gz'})
    listing = {'labels': {'0': 'background', '1': 'near', '2': 'far'}, 'training': cases}
    (tmp_path / 'dataset.json').write_text(json.dumps(listing))


@pytest.mark.usefixtures('training_list')
@pytest.mark.parametrize('medcontext', [False, True])
def test_browse_dataset_draws_every_case_and_its_hidden_cells(tmp_path, medcontext, capsys):
    head = dict(
        type='MedContextHead', masking=dict(type='TubeMask', ratio=0.5), patch_size=(4, 4, 4),
        consistency=dict(type='ConsistencyLoss'),
    )  # fmt: skip
    model = dict(teacher=dict(type='EMATeacher'), auxiliary=dict(context=head)) if medcontext else {}
    make_config(tmp_path, **model).dump(tmp_path / 'config.py')
    run_tool('browse_dataset.py', tmp_path / 'config.py', '--out', tmp_path / 'browse', '--number', 3)
    suffix = '_context' if medcontext else ''
    names = sorted(path.name for path in (tmp_path / 'browse').iterdir())
    assert names == [f'000{number}_image{number}{suffix}.png' for number in range(3)]
    assert str(tmp_path / 'browse') in capsys.readouterr().out


@pytest.mark.usefixtures('training_list')
def test_browse_dataset_refuses_splits_and_channels_that_are_not_there(tmp_path):
    make_config(tmp_path).dump(tmp_path / 'config.py')
    with pytest.raises(ValueError, match='no val_dataloader; it has train, test'):
        run_tool('browse_dataset.py', tmp_path / 'config.py', '--out', tmp_path / 'browse', '--split', 'val')
    with pytest.raises(ValueError, match='--channel 1'):
        run_tool('browse_dataset.py', tmp_path / 'config.py', '--out', tmp_path / 'browse', '--channel', 1)


@pytest.mark.parametrize('tool', ['infer.py', 'browse_dataset.py'])
def test_help_explains_and_exits(tool, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', [tool, '--help'])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(TOOLS / tool), run_name='__main__')
    assert stopped.value.code == 0
    assert 'python tools/' in capsys.readouterr().out

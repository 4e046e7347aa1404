"""The tool from its command line to both files, on clean, spoilt and repaired data; and a training that refuses."""

from __future__ import annotations

import json
import logging
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from spoiling import sheared
from tiny_set import CLASSES, Spoiler, build

from medctx3d.apis.splits import check_config_splits
from medctx3d.diagnosis import CHECKS, reading
from medctx3d.engine.launch import open_config

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
_base_ = ['{root}/configs/medcontext/unet_phantom.py']
load = [
    dict(type='LoadVolume'),
    dict(type='monai.transforms.Orientationd', keys=['image', 'label'], axcodes='RAS', labels=None),
    dict(type='monai.transforms.ScaleIntensityRanged', keys=['image'], a_min=-200, a_max=300, b_min=0.0, b_max=1.0),
]
d = dict(
    type='VolumeDataset',
    ann_file='dataset.json',
    data_root='{data}',
    store=dict(root='{folder}/store', num_workers=0),
    metainfo=dict(_delete_=True, classes={classes}, channels=('CT',)),
    load_pipeline=load,
)
crop = [dict(type='ForegroundCrop', size=(16, 16, 16)), dict(type='PackVolume')]
train_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(pipeline=crop, **d))
val_dataloader = dict(num_workers=0, dataset=d)
test_dataloader = dict(num_workers=0, dataset=d)
model = dict(
    network=dict(backbone=dict(channels=(4, 8), strides=(1, 2)), decode_head=dict(num_classes=5)),
    inferer=dict(roi_size=(16, 16, 16)),
    auxiliary=dict(medcontext=dict(patch_size=(4, 4, 4))),
)
train_cfg = dict(max_iters=40, val_interval=20)
work_dir = '{folder}/work'
"""


@pytest.fixture
def spoiler(tmp_path: Path) -> Spoiler:
    (tmp_path / 'data').mkdir()
    config = CONFIG.format(root=ROOT, data=tmp_path / 'data', folder=tmp_path, classes=CLASSES)
    (tmp_path / 'tiny.py').write_text(config, encoding='utf-8')
    return Spoiler(build(tmp_path / 'data'))


@pytest.fixture
def doctor(spoiler: Spoiler, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, dict[str, Any], str]]:
    """Run the tool; exit code, content of the JSON, and the page."""

    def call(*arguments: str) -> tuple[int, dict[str, Any], str]:
        folder = spoiler.folder.parent
        line = ['doctor.py', str(folder / 'tiny.py'), '--out-dir', str(folder / 'out'), '--workers', '1', *arguments]
        monkeypatch.setattr(sys, 'argv', line)
        status = 0
        try:
            runpy.run_path(str(ROOT / 'tools' / 'doctor.py'), run_name='__main__')
        except SystemExit as stop:
            status = int(stop.code or 0)
        content = json.loads((folder / 'out' / 'doctor.json').read_text(encoding='utf-8'))
        return status, content, (folder / 'out' / 'doctor.html').read_text(encoding='utf-8')

    return call


def test_clean_data_are_ready(doctor, spoiler: Spoiler) -> None:
    status, content, page = doctor('--trial-seconds', '0')
    assert status == 0
    assert [finding for finding in content['findings'] if finding['severity'] != 'note'] == []
    assert content['verdict']['word'] == 'Ready'
    assert len(content['cases']) == 8
    assert {row['title'] for row in content['presence']} >= {'train', 'train, fold 5 of 5', 'val', 'test'}
    assert all(check.title in page for check in CHECKS if '&' not in check.title and "'" not in check.title)
    assert 'http' not in page.replace('http-equiv', '')
    assert not (spoiler.folder.parent / 'store').exists()
    assert not (spoiler.folder.parent / 'work').exists()


def test_errors_are_all_told_with_their_files(doctor, spoiler: Spoiler, capsys) -> None:
    spoiler.voxels('image0', lambda v: np.where(v > 1e9, v, np.nan).astype(np.float32))
    spoiler.bytes('image6', lambda b: b[:-50])
    spoiler.voxels('label2', lambda v: v[:-1])
    status, content, page = doctor('--trial-seconds', '0')
    told = capsys.readouterr().out
    assert status == 1
    assert content['verdict']['word'] == 'Not ready'
    errors = {finding['check'] for finding in content['findings'] if finding['severity'] == 'error'}
    assert errors >= {'nonfinite_image', 'unreadable_voxels', 'label_apart'}
    for name in ('image0.nii.gz', 'image6.nii.gz', 'label2.nii.gz'):
        assert name in told
        assert name in page


def test_a_name_from_the_data_cannot_become_markup(doctor, spoiler: Spoiler) -> None:
    spoiler.relist(lambda c: c['training'][0].update(case='<script>alert(1)</script>', subject='p6'))
    status, _, page = doctor('--trial-seconds', '0')
    assert status == 1
    assert '<script' not in page
    assert '&lt;script&gt;' in page


def test_a_repaired_copy_is_ready_to_train_on(doctor, spoiler: Spoiler) -> None:
    for kind in ('image', 'label'):
        spoiler.header(f'{kind}1', lambda i: i.set_sform(sheared(0.01), 1))
    copy = spoiler.folder.parent / 'fixed'
    _, before, _ = doctor('--trial-seconds', '0', '--fix', str(copy))
    assert 'sheared_affine' in {finding['check'] for finding in before['findings']}
    options = [f'{stage}_dataloader.dataset.data_root={copy}' for stage in ('train', 'val', 'test')]
    status, after, _ = doctor('--trial-seconds', '0', '--cfg-options', *options)
    assert status == 0
    assert 'sheared_affine' not in {finding['check'] for finding in after['findings']}
    assert (copy / 'repairs.json').is_file()


def test_errors_and_warnings_are_told_apart_and_a_repair_says_what_it_leaves(doctor, spoiler: Spoiler, capsys) -> None:
    for kind in ('image', 'label'):
        spoiler.header(f'{kind}1', lambda i: i.set_sform(sheared(0.01), 1))
    spoiler.voxels('label2', lambda v: v[:-1])
    status, content, _ = doctor('--trial-seconds', '0', '--fix', str(spoiler.folder.parent / 'fixed'))
    lines = capsys.readouterr().out.splitlines()
    assert status == 1
    place = {words: next(i for i, line in enumerate(lines) if words in line) for words in ('label2', 'image1.nii')}
    assert lines[place['label2'] - 1] == '1 error found:'
    assert place['image1.nii'] > next(i for i, line in enumerate(lines) if line.endswith('warnings found:'))
    warnings = sum(finding['severity'] == 'warning' for finding in content['findings'])
    assert f'1 error, {warnings} warnings, 0 notes' in lines
    assert any(line.startswith('--fix: 2 files repaired, 0 left for you') for line in lines)
    assert '--fix: 1 error above stays as it is: the copy is not ready either' in lines


@pytest.mark.parametrize(('name', 'words'), [('taken', 'must not exist'), ('data/copy', 'must lie outside')])
def test_a_place_for_the_copy_is_judged_before_anything_is_read(
    doctor, spoiler, monkeypatch, capsys, name, words
) -> None:
    (spoiler.folder.parent / 'taken').mkdir()
    monkeypatch.setattr(reading, 'read_volume', pytest.fail)
    with pytest.raises(FileNotFoundError, match=r'doctor\.json'):  # nothing was written
        doctor('--trial-seconds', '0', '--fix', str(spoiler.folder.parent / name))
    assert words in capsys.readouterr().err.replace('\n', ' ')


@pytest.mark.slow
def test_a_forecast_is_made_from_iterations_of_the_config(doctor, spoiler: Spoiler) -> None:
    status, content, page = doctor('--trial-seconds', '0.5')
    forecast = content['forecast']
    assert status == 0
    assert forecast['problem'] == forecast['skipped'] == ''
    assert forecast['iterations'] == 40
    assert forecast['timed'] >= 3
    parts = forecast['preparing'] + 40 * forecast['iteration'] + forecast['validating'] + forecast['saving']
    assert forecast['total'] == pytest.approx(parts)
    assert forecast['validating'] > 0
    assert forecast['memory'] > 10**8
    assert 'Measured over' in page
    assert not (spoiler.folder.parent / 'store').exists()
    assert not (spoiler.folder.parent / 'work').exists()


def test_a_training_tells_all_errors_of_lists_and_headers_at_once(spoiler: Spoiler) -> None:
    spoiler.voxels('label0', lambda v: v[:-1])
    spoiler.path('image6').unlink()
    spoiler.relist(lambda c: c['validation'][0].update(subject='p1'))
    with pytest.raises(ValueError, match='3 errors in lists and headers') as error:
        check_config_splits(open_config(spoiler.folder.parent / 'tiny.py'))
    for words in (
        'label0.nii.gz: the label must have the shape',
        'image6.nii.gz: no such file',
        'share a subject, p1',
    ):
        assert words in str(error.value)


def test_a_training_logs_warnings_and_goes_on(spoiler: Spoiler, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[tuple[str, int]] = []
    monkeypatch.setattr('medctx3d.apis.splits.print_log', lambda text, logger, level: logged.append((text, level)))
    config = open_config(spoiler.folder.parent / 'tiny.py')
    assert len(check_config_splits(config)) == 3
    assert logged == []
    spoiler.header('image1', lambda i: i.set_sform(sheared(0.02), 1))
    spoiler.header('label1', lambda i: i.set_sform(sheared(0.02), 1))
    assert len(check_config_splits(config)) == 3
    [(text, level)] = logged
    assert level == logging.WARNING
    assert 'image1.nii.gz: the axes of the affine must be at right angles' in text


def test_a_reader_that_is_killed_costs_its_own_case_only(spoiler: Spoiler, monkeypatch: pytest.MonkeyPatch) -> None:
    read, case = reading.read_volume, spoiler.path('image2')

    def killed(path: str) -> Any:
        if path == str(case):
            os.kill(os.getpid(), signal.SIGKILL)
        return read(path)

    monkeypatch.setattr(reading, 'read_volume', killed)
    records = [dict(case=str(n), image=str(spoiler.path(f'image{n}')), label=None) for n in range(4)]
    facts = reading.read_cases([reading.CaseJob(record, 'train', {}, None) for record in records], workers=2)
    assert [bool(f.images[0].voxel_problem) for f in facts] == [False, False, True, False]
    assert 'was killed' in facts[2].images[0].voxel_problem
    assert nib.load(case).shape == facts[2].images[0].header.shape

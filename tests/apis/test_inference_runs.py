from __future__ import annotations

import gzip
import runpy
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from tiny_inference import BLOCKS, NAMES, STREAMED, make_config, make_scans, read_record, save_scan

from medctx3d.apis import VolumeInferencer, inferencer, init_model, result_space
from medctx3d.inference import PredictionOptions
from medctx3d.utils.claims import claim, release

INFER = Path(__file__).resolve().parents[2] / 'tools' / 'infer.py'


@pytest.fixture
def scans(tmp_path):
    return make_scans(tmp_path / 'scans')


@pytest.fixture
def infer(tmp_path, scans):
    """Run all scans into one folder with a fresh inferencer, whose levels may be shifted."""

    def call(shift: float = 0.0, **settings):
        model = init_model(make_config(tmp_path, inferer=STREAMED), device='cpu')
        model.network.levels.data += shift
        return VolumeInferencer(model)([scans], tmp_path / 'out', progress=False, **settings)

    return call


def damage(scans) -> None:
    raw = gzip.decompress((scans / 'b.nii.gz').read_bytes())
    (scans / 'b.nii.gz').write_bytes(gzip.compress(raw[:-100]))  # a whole header, too few voxels


@pytest.mark.parametrize('where', ['header', 'voxels'])
def test_one_corrupt_case_is_reported_and_the_rest_done(tmp_path, infer, scans, where, capsys):
    if where == 'voxels':
        damage(scans)
    else:
        (scans / 'b.nii.gz').write_bytes(b'<html>')
    summary = infer()
    assert [path.name for path in summary.written] == ['a.nii.gz', 'c.nii.gz']
    assert list(summary.failed) == ['b']
    assert 'b.nii.gz' in summary.failed['b']
    assert read_record(tmp_path)['cases']['b']['reason'] == summary.failed['b']
    assert f'b: left out: {summary.failed["b"]}' in capsys.readouterr().out
    damaged = (scans / 'b.nii.gz').read_bytes()
    save_scan(scans / 'b.nii.gz', np.ones((4, 4, 4), np.uint8), np.eye(4))  # mended: the next run takes it up
    assert (scans / 'b.nii.gz').read_bytes() != damaged
    assert [path.name for path in infer().written] == ['b.nii.gz']


def test_one_corrupt_case_ends_the_tool_with_an_error_and_a_summary(tmp_path, scans, capsys):
    damage(scans)
    config = make_config(tmp_path)
    config.dump(tmp_path / 'config.py')
    torch.save(dict(state_dict=init_model(config, device='cpu').state_dict()), tmp_path / 'weights.pth')
    arguments = ['config.py', 'weights.pth', 'scans', '--out', 'out']
    line = [str(tmp_path / part) if not part.startswith('-') else part for part in arguments]
    main = runpy.run_path(str(INFER))['main']
    with pytest.raises(ValueError, match=r'^1 of 3 cases have no segmentation: b \(.*b\.nii\.gz: .*truncated'):
        main([*line, '--device', 'cpu'])
    assert 'done: 2 segmentations in' in capsys.readouterr().out
    with pytest.raises(ValueError, match='1 of 3 cases'):
        main([*line, '--device', 'cpu'])
    assert 'done: 0 segmentations in' in (told := capsys.readouterr().out)
    assert '2 more were there' in told


def test_a_case_without_memory_is_reported_with_advice(infer, monkeypatch):
    def predict(model, prepared, **maps):
        raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 3 GiB')

    monkeypatch.setattr(inferencer, 'predict_prepared', predict)
    failed = infer().failed
    assert list(failed) == NAMES
    assert failed['a'].startswith('out of memory (CUDA out of memory')
    assert '--workers' in failed['a']


def test_a_defect_of_the_program_is_not_taken_for_a_bad_case(infer, monkeypatch):
    def predict(model, prepared, **maps):
        raise KeyError('defect')

    monkeypatch.setattr(inferencer, 'predict_prepared', predict)
    with pytest.raises(KeyError):
        infer()


def test_two_runs_on_one_folder_share_the_work(tmp_path, infer):
    lock = claim(tmp_path / 'out' / '.claims' / 'b.lock')  # as another run holds it
    summary = infer()
    assert [path.name for path in summary.written] == ['a.nii.gz', 'c.nii.gz']
    assert summary.elsewhere == ['b']
    release(lock)
    assert [path.name for path in infer().written] == ['b.nii.gz']
    assert [path.name for path in (tmp_path / 'out' / '.claims').iterdir()] == ['record.lock']


def test_what_a_process_of_this_run_did_not_live_to_finish_has_failed(tmp_path, infer, monkeypatch):
    note = inferencer.InferenceRecord.note

    def die(self, case, **entry):
        note(self, case, **(dict(status='running') if case.name == 'b' and entry['status'] == 'done' else entry))

    monkeypatch.setattr(inferencer.InferenceRecord, 'note', die)
    failed = infer().failed
    assert list(failed) == ['b']
    assert 'ended from outside' in failed['b']


def test_too_little_space_is_known_before_the_first_case(tmp_path, infer, monkeypatch):
    usage = result_space.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(result_space.shutil, 'disk_usage', lambda path: usage._replace(free=5000))
    with pytest.raises(OSError, match=r'3 results need about 12\.3 kB, 5 kB are free'):
        infer()
    assert not list((tmp_path / 'out').glob('*.nii.gz'))


def test_a_disk_that_fills_ends_the_run(tmp_path, infer, monkeypatch):
    def full(sample, path):
        raise OSError(28, 'No space left on device', str(path))

    monkeypatch.setattr(inferencer, 'save_segmentation', full)
    with pytest.raises(OSError, match='No space left'):
        infer()
    monkeypatch.undo()
    assert len(infer().written) == 3  # nothing stayed claimed


def test_an_image_of_another_kind_is_segmented_with_a_warning(tmp_path, scans, capsys):
    config = make_config(tmp_path)
    config.test_dataloader.dataset.load_pipeline.append(
        dict(type='monai.transforms.ScaleIntensityRanged', keys=['image'], a_min=-175, a_max=250, b_min=0, b_max=1)
    )
    summary = VolumeInferencer(init_model(config, device='cpu'))([scans], tmp_path / 'out', progress=False)
    assert len(summary.written) == 3
    told = capsys.readouterr().out
    assert 'a: warning: intensities lie between 0 and 200, the model (CT) looks at -175 to 250' in told
    assert read_record(tmp_path)['cases']['a']['warning'] in told


def test_workers_need_a_number_and_a_model_they_can_build(infer):
    with pytest.raises(ValueError, match='workers must be at least 1, got 0'):
        infer(workers=0)
    with pytest.raises(ValueError, match='build the model anew'):
        infer(workers=2)


def test_a_memory_bound_is_judged_by_headers_and_leaves_out_what_exceeds_it(tmp_path, scans):
    options = PredictionOptions(max_memory=10**6)
    model = init_model(make_config(tmp_path, inferer=STREAMED), device='cpu', options=options)
    with pytest.raises(ValueError, match=r'a\.nii\.gz.* GB|a\.nii\.gz.* MB'):
        VolumeInferencer(model)([scans], tmp_path / 'out', progress=False)
    assert not (tmp_path / 'out').exists()


@pytest.mark.slow
def test_two_processes_do_all_cases_once(tmp_path, scans, monkeypatch):
    """The first process sits on its case, the next one read ahead, until the second has done the last."""
    config = make_config(tmp_path, inferer=STREAMED)
    config.custom_imports = dict(imports=['tiny_inference'])  # the second process has to find the network
    torch.save(dict(state_dict=init_model(config, device='cpu').state_dict()), tmp_path / 'w.pth')
    predict, waited = inferencer.predict_prepared, []

    def late(model, prepared, **extras):
        for _ in range(600):
            if read_record(tmp_path)['cases'].get('c', {}).get('status') == 'done':
                break
            time.sleep(0.2)
        waited.append(prepared['data_samples'].case)
        return predict(model, prepared, **extras)

    monkeypatch.setattr(inferencer, 'predict_prepared', late)
    summary = VolumeInferencer(config, tmp_path / 'w.pth', device='cpu')(
        [scans], tmp_path / 'out', workers=2, progress=False
    )
    assert waited == ['a', 'b']
    assert len(summary.written) == 3
    for path in summary.written:
        np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), BLOCKS)


def test_two_runs_at_once_do_every_case_once(tmp_path, infer, monkeypatch):
    predict, done, both = inferencer.predict_prepared, [], threading.Barrier(2, timeout=60)

    def together(model, prepared, **extras):
        done.append(prepared['data_samples'].case)
        if len(done) <= 2:
            both.wait()  # neither goes on before the other has a case of its own
        return predict(model, prepared, **extras)

    monkeypatch.setattr(inferencer, 'predict_prepared', together)
    with ThreadPoolExecutor(2) as pool:
        summaries = [future.result() for future in [pool.submit(infer), pool.submit(infer)]]
    assert sorted(done) == NAMES
    assert sorted(path.name[0] for summary in summaries for path in summary.written) == NAMES
    assert not [name for summary in summaries for name in summary.failed]

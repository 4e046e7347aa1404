from __future__ import annotations

import gzip
import json
import os
import re
import runpy
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from tiny_inference import make_config, save_scan

from medctx3d.apis import VolumeInferencer, inferencer, init_model, result_space
from medctx3d.apis.inference_record import weights_digest
from medctx3d.inference import PredictionOptions
from medctx3d.utils.claims import claim, release

INFER = Path(__file__).resolve().parents[2] / 'tools' / 'infer.py'
NAMES = ['a', 'b', 'c']
STREAMED = dict(type='StreamedWindowInferer', roi_size=(16, 16, 16))


@pytest.fixture
def labels():
    volume = np.zeros((10, 9, 8), np.uint8)
    volume[2:8, 3:7, 2:6] = 1
    volume[3:5, 4:6, 3:5] = 2
    return volume


@pytest.fixture
def scans(tmp_path, labels):
    (tmp_path / 'scans').mkdir()
    for name in NAMES:
        save_scan(tmp_path / 'scans' / f'{name}.nii.gz', labels, np.diag([1.0, 2, 3, 1]))
    return tmp_path / 'scans'


@pytest.fixture
def infer(tmp_path, scans):
    """Run all scans into one folder with a fresh inferencer, whose levels may be shifted."""

    def call(shift: float = 0.0, **settings):
        model = init_model(make_config(tmp_path, inferer=STREAMED), device='cpu')
        model.network.levels.data += shift
        return VolumeInferencer(model)([settings.pop('inputs', scans)], tmp_path / 'out', progress=False, **settings)

    return call


def record(tmp_path) -> dict:
    return json.loads((tmp_path / 'out' / 'inference.json').read_text())


def damage(scans) -> None:
    raw = gzip.decompress((scans / 'b.nii.gz').read_bytes())
    (scans / 'b.nii.gz').write_bytes(gzip.compress(raw[:-100]))  # a whole header, too few voxels


def stamps(tmp_path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (tmp_path / 'out').glob('*.nii.gz')}


def test_the_record_says_what_was_made_how(tmp_path, infer, labels):
    assert infer().total == 3
    found = record(tmp_path)
    model = init_model(make_config(tmp_path), device='cpu')
    assert found['identity']['weights_sha256'] == [weights_digest(model.network)]
    assert re.fullmatch('[0-9a-f]{64}', found['identity']['config_sha256'])
    (run,) = found['runs'].values()
    assert run['device'] == 'cpu'
    assert run['classes'] == ['background', 'near', 'far']
    assert run['versions']['torch'] == torch.__version__.partition('+')[0] or run['versions']['torch']
    assert set(found['rules']) >= {'grid', 'affine', 'outside'}
    case = found['cases']['a']
    assert (case['status'], case['result'], case['shape']) == ('done', 'a.nii.gz', list(labels.shape))
    assert case['spacing'] == [1, 2, 3]
    assert (case['windows'], case['skipped_windows']) == (1, 0)
    assert set(case['seconds']) == {'read', 'predict', 'write'}
    assert case['sources'][0]['path'].endswith('scans/a.nii.gz')


def test_weights_are_told_apart_by_name_type_and_value(tmp_path):
    model = init_model(make_config(tmp_path), device='cpu')
    before = weights_digest(model)
    assert weights_digest(init_model(make_config(tmp_path), device='cpu')) == before
    model.network.levels.data[1] += 1e-5
    assert weights_digest(model) != before
    model.network.levels.data = torch.tensor([0.0, 100.0, 200.0], dtype=torch.float64)
    assert weights_digest(model) != before


def test_a_second_run_keeps_what_is_done_and_makes_what_is_missing_or_changed(tmp_path, infer, scans):
    infer()
    before = stamps(tmp_path)
    (tmp_path / 'out' / 'a.nii.gz').unlink()
    os.utime(scans / 'b.nii.gz', ns=(1, 1))
    summary = infer()
    assert [path.name for path in summary.written] == ['a.nii.gz', 'b.nii.gz']
    assert [path.name for path in summary.kept] == ['c.nii.gz']
    after = stamps(tmp_path)
    assert after['c.nii.gz'] == before['c.nii.gz']
    assert after['b.nii.gz'] > before['b.nii.gz']
    assert len(record(tmp_path)['runs']) == 2


def test_a_run_that_wants_more_beside_the_labels_makes_it(tmp_path, infer):
    infer()
    assert len(infer(extras=['entropy']).written) == 3
    assert len(infer(extras=['entropy']).kept) == 3
    assert len(infer().kept) == 3


def test_a_case_that_was_cut_off_is_made_anew(tmp_path, infer):
    infer()
    content = record(tmp_path)
    content['cases']['b'] = dict(status='running', run='another')
    (tmp_path / 'out' / 'inference.json').write_text(json.dumps(content))
    assert [path.name for path in infer().written] == ['b.nii.gz']


def test_results_of_another_model_or_format_are_not_mixed(tmp_path, infer):
    infer()
    before = stamps(tmp_path)
    with pytest.raises(ValueError, match=r'results of another model or of other options: weights .*, now .*'):
        infer(shift=1.0)
    with pytest.raises(ValueError, match=r"format None, now '\.nii'.*--overwrite"):
        infer(suffix='.nii')
    assert stamps(tmp_path) == before
    assert len(infer(shift=1.0, overwrite=True).written) == 3
    assert len(record(tmp_path)['runs']) == 1


def test_results_of_unknown_origin_are_not_replaced(tmp_path, infer):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'b.nii.gz').write_text('by hand')
    with pytest.raises(ValueError, match=r'holds b\.nii\.gz already \(1 such files\)'):
        infer()
    assert (tmp_path / 'out' / 'b.nii.gz').read_text() == 'by hand'
    assert len(infer(overwrite=True).written) == 3


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
    assert record(tmp_path)['cases']['b']['reason'] == summary.failed['b']
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
    assert record(tmp_path)['cases']['a']['warning'] in told


def test_workers_need_a_number_and_a_model_they_can_build(infer):
    with pytest.raises(ValueError, match='workers must be at least 1, got 0'):
        infer(workers=0)
    with pytest.raises(ValueError, match='build the model anew'):
        infer(workers=2)


def test_probabilities_entropy_and_pictures_are_written_where_asked(tmp_path, infer, labels):
    infer(extras=('overlay', 'probabilities', 'entropy'))
    probabilities = nib.load(tmp_path / 'out' / 'probabilities' / 'a.nii')
    assert probabilities.shape == (*labels.shape, 3)
    np.testing.assert_array_equal(np.argmax(probabilities.get_fdata(), axis=3), labels)
    assert nib.load(tmp_path / 'out' / 'entropy' / 'a.nii').shape == labels.shape
    assert (tmp_path / 'out' / 'overlays' / 'a.png').stat().st_size > 0
    with pytest.raises(ValueError, match=r"extras must be some of .*, got \['logits'\]"):
        infer(extras=('logits',))


def test_probabilities_of_an_inferer_that_keeps_them_whole_are_refused_first(tmp_path, scans):
    inferencer = VolumeInferencer(init_model(make_config(tmp_path), device='cpu'))
    with pytest.raises(ValueError, match=r"need model\.inferer=dict\(type='StreamedWindowInferer'"):
        inferencer([scans], tmp_path / 'out', extras=['entropy'], progress=False)
    assert not (tmp_path / 'out').exists()


def test_every_network_of_an_ensemble_counts_for_the_record(tmp_path, scans, labels):
    for number in range(2):
        model = init_model(make_config(tmp_path), device='cpu')
        model.network.levels.data += number
        torch.save(dict(state_dict=model.state_dict()), tmp_path / f'{number}.pth')
    inferencer = VolumeInferencer(make_config(tmp_path), [tmp_path / '0.pth', tmp_path / '1.pth'], device='cpu')
    inferencer([scans], tmp_path / 'out', progress=False)
    found = record(tmp_path)
    assert len(set(found['identity']['weights_sha256'])) == 2
    (run,) = found['runs'].values()
    assert [Path(name).name for name in run['checkpoints']] == ['0.pth', '1.pth']


def test_a_memory_bound_is_judged_by_headers_and_leaves_out_what_exceeds_it(tmp_path, scans):
    options = PredictionOptions(max_memory=10**6)
    model = init_model(make_config(tmp_path, inferer=STREAMED), device='cpu', options=options)
    with pytest.raises(ValueError, match=r'a\.nii\.gz.* GB|a\.nii\.gz.* MB'):
        VolumeInferencer(model)([scans], tmp_path / 'out', progress=False)
    assert not (tmp_path / 'out').exists()


@pytest.mark.slow
def test_two_processes_do_all_cases_once(tmp_path, scans, labels, monkeypatch):
    """The first process sits on its case, the next one read ahead, until the second has done the last."""
    config = make_config(tmp_path, inferer=STREAMED)
    config.custom_imports = dict(imports=['tiny_inference'])  # the second process has to find the network
    torch.save(dict(state_dict=init_model(config, device='cpu').state_dict()), tmp_path / 'w.pth')
    predict, waited = inferencer.predict_prepared, []

    def late(model, prepared, **extras):
        for _ in range(600):
            if record(tmp_path)['cases'].get('c', {}).get('status') == 'done':
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
        np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), labels)


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


def test_unreadable_records_are_named(tmp_path, infer):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'inference.json').write_text('{"cases"')
    with pytest.raises(ValueError, match=r'inference\.json: must be valid JSON'):
        infer()


def test_a_case_read_ahead_is_the_same_case(tmp_path, infer, monkeypatch, labels):
    monkeypatch.setattr('medctx3d.apis.inference_share.has_room', lambda need: True)
    for path in infer().written:
        np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), labels)

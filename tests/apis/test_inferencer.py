from __future__ import annotations

import json
import os
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from tiny_inference import BLOCKS, STREAMED, make_config, make_scans, read_record

from medctx3d.apis import VolumeInferencer, init_model
from medctx3d.apis.inference_record import weights_digest


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


def stamps(tmp_path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (tmp_path / 'out').glob('*.nii.gz')}


def test_the_record_says_what_was_made_how(tmp_path, infer):
    assert infer().total == 3
    found = read_record(tmp_path)
    model = init_model(make_config(tmp_path), device='cpu')
    assert found['identity']['weights_sha256'] == [weights_digest(model.network)]
    assert re.fullmatch('[0-9a-f]{64}', found['identity']['config_sha256'])
    (run,) = found['runs'].values()
    assert run['device'] == 'cpu'
    assert run['classes'] == ['background', 'near', 'far']
    assert run['versions']['nibabel'] == nib.__version__
    assert run['versions']['SimpleITK'].startswith('2.')
    assert set(found['rules']) >= {'grid', 'affine', 'outside'}
    case = found['cases']['a']
    assert (case['status'], case['result'], case['shape']) == ('done', 'a.nii.gz', list(BLOCKS.shape))
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
    assert len(read_record(tmp_path)['runs']) == 2


def test_a_run_that_wants_more_beside_the_labels_makes_it(tmp_path, infer):
    infer()
    assert len(infer(extras=['entropy']).written) == 3
    assert len(infer(extras=['entropy']).kept) == 3
    assert len(infer().kept) == 3


def test_a_case_that_was_cut_off_is_made_anew(tmp_path, infer):
    infer()
    content = read_record(tmp_path)
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
    assert len(read_record(tmp_path)['runs']) == 1


def test_results_of_unknown_origin_are_not_replaced(tmp_path, infer):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'b.nii.gz').write_text('by hand')
    with pytest.raises(ValueError, match=r'holds b\.nii\.gz already \(1 such files\)'):
        infer()
    assert (tmp_path / 'out' / 'b.nii.gz').read_text() == 'by hand'
    assert len(infer(overwrite=True).written) == 3


def test_probabilities_entropy_and_pictures_are_written_where_asked(tmp_path, infer):
    infer(extras=('overlay', 'probabilities', 'entropy'))
    probabilities = nib.load(tmp_path / 'out' / 'probabilities' / 'a.nii')
    assert probabilities.shape == (*BLOCKS.shape, 3)
    np.testing.assert_array_equal(np.argmax(probabilities.get_fdata(), axis=3), BLOCKS)
    assert nib.load(tmp_path / 'out' / 'entropy' / 'a.nii').shape == BLOCKS.shape
    assert (tmp_path / 'out' / 'overlays' / 'a.png').stat().st_size > 0
    with pytest.raises(ValueError, match=r"extras must be some of .*, got \['logits'\]"):
        infer(extras=('logits',))


def test_probabilities_of_an_inferer_that_keeps_them_whole_are_refused_first(tmp_path, scans):
    inferencer = VolumeInferencer(init_model(make_config(tmp_path), device='cpu'))
    with pytest.raises(ValueError, match=r"need model\.inferer=dict\(type='StreamedWindowInferer'"):
        inferencer([scans], tmp_path / 'out', extras=['entropy'], progress=False)
    assert not (tmp_path / 'out').exists()


def test_every_network_of_an_ensemble_counts_for_the_record(tmp_path, scans):
    for number in range(2):
        model = init_model(make_config(tmp_path), device='cpu')
        model.network.levels.data += number
        torch.save(dict(state_dict=model.state_dict()), tmp_path / f'{number}.pth')
    inferencer = VolumeInferencer(make_config(tmp_path), [tmp_path / '0.pth', tmp_path / '1.pth'], device='cpu')
    inferencer([scans], tmp_path / 'out', progress=False)
    found = read_record(tmp_path)
    assert len(set(found['identity']['weights_sha256'])) == 2
    (run,) = found['runs'].values()
    assert [Path(name).name for name in run['checkpoints']] == ['0.pth', '1.pth']


def test_unreadable_records_are_named(tmp_path, infer):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'inference.json').write_text('{"cases"')
    with pytest.raises(ValueError, match=r'inference\.json: must be valid JSON'):
        infer()


def test_a_case_read_ahead_is_the_same_case(tmp_path, infer, monkeypatch):
    monkeypatch.setattr('medctx3d.apis.inference_share.has_room', lambda need: True)
    for path in infer().written:
        np.testing.assert_array_equal(np.asarray(nib.load(path).dataobj), BLOCKS)

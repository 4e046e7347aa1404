"""Scoring folders of label files: by the tool, from files to files."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medctx3d.apis import probability_files
from medctx3d.evaluation.metrics.case_scores import score_case
from medctx3d.evaluation.metrics.metric_table import METRIC_NAMES
from medctx3d.evaluation.metrics.score_rules import ScoreRules
from medctx3d.evaluation.reliability import Reliability
from medctx3d.evaluation.report import read_results

TOOL = Path(__file__).parents[2] / 'tools' / 'rescore.py'
NAMES = ['--classes', 'background', 'near', 'far']
AFFINE = np.diag([-1.5, 2.0, 3.0, 1.0])


def load_tool():
    spec = importlib.util.spec_from_file_location('rescore_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def save(path, labels, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(labels, affine), path)


def labels_of(seed):
    return np.random.default_rng(seed).choice(3, (7, 6, 5), p=(0.6, 0.2, 0.2)).astype(np.uint8)


@pytest.fixture
def folders(tmp_path):
    """Truth and predictions of two cases; the second prediction lacks class 2."""
    for number, case in enumerate(('one', 'two')):
        save(tmp_path / 'truth' / f'{case}.nii.gz', labels_of(number))
        prediction = labels_of(number + 10)
        save(
            tmp_path / 'predicted' / f'{case}.nii.gz',
            np.where(prediction == 2, 0, prediction) if number else prediction,
        )
    return tmp_path


@pytest.fixture
def rescore(folders, monkeypatch):
    tool = load_tool()
    monkeypatch.chdir(folders)

    def run(*options, truth=('--truth', 'truth'), names=NAMES):
        tool.main(['predicted', '--out', 'out', *truth, *names, *options])
        return read_results('out')

    return run


@pytest.mark.parametrize('workers', ['1', '2'])
def test_scores_are_those_of_the_arrays_whatever_the_number_of_processes(rescore, workers):
    results = rescore('--workers', workers, '--convention', 'brats-penalty', '--tolerance', 'near=1', 'far=2.5')
    rules = ScoreRules(METRIC_NAMES, {'near': 1, 'far': 2.5}, 'brats-penalty')
    predicted = [labels_of(10), np.where(labels_of(11) == 2, 0, labels_of(11))]
    for number, case in enumerate(results['cases']):
        expected = score_case(
            labels_of(number), predicted[number], spacing=(1.5, 2, 3), classes={'near': 1, 'far': 2}, rules=rules
        )
        for name, scores in expected.items():
            assert case['classes'][name] == pytest.approx(scores)
    assert results['classes']['far']['hd95'] == pytest.approx(
        (results['cases'][0]['classes']['far']['hd95'] + 373.13) / 2
    )
    assert results['rules']['convention'] == 'brats-penalty'
    assert results['rules']['nsd_tolerance_mm'] == {'near': 1, 'far': 2.5}
    assert Path('out/per_case.csv').read_text().count('\n') == 1 + 2 * 2


def test_a_list_names_truth_and_classes(rescore, folders):
    entries = [dict(image=f'truth/{case}.nii.gz', label=f'truth/{case}.nii.gz') for case in ('one', 'two')]
    labels = {'0': 'background', '1': 'near', '2': 'far'}
    (folders / 'list.json').write_text(json.dumps(dict(labels=labels, test=entries)))
    by_list = rescore(truth=['--truth', 'list.json'], names=[])
    assert by_list['cases'] == rescore()['cases']


def test_regions_and_what_is_reported_can_be_chosen(rescore):
    results = rescore('--regions', 'any=near,far', '--reported', 'any', '--scores', 'dice', '--means', 'of_cases')
    assert results['mean']['dice'] == results['classes']['any']['dice']
    assert results['rules']['means'] == 'of_cases'
    assert list(results['mean']) == ['dice']


def test_values_of_other_numbering_are_mapped(rescore, folders):
    expected = rescore()['cases']
    for case in ('one', 'two'):
        file = folders / 'predicted' / f'{case}.nii.gz'
        labels = np.asarray(nib.load(file).dataobj)
        save(file, np.where(labels == 2, 40, labels).astype(np.uint8))
    with pytest.raises(ValueError, match=r'one.nii.gz holds class ids \[40\].*--prediction-map OLD=NEW'):
        rescore()
    assert rescore('--prediction-map', '40=2')['cases'] == expected


def test_missing_and_extra_cases_are_named_and_left_out_only_when_asked(rescore, folders, capsys):
    (folders / 'predicted' / 'two.nii.gz').rename(folders / 'predicted' / 'three.nii.gz')
    with pytest.raises(
        ValueError, match=r'1 cases have no prediction: two; 1 predictions have no truth: three.*--partial'
    ):
        rescore()
    assert not (folders / 'out' / 'results.json').exists()
    results = rescore('--partial')
    assert [case['case'] for case in results['cases']] == ['one']
    assert (results['files']['missing'], results['files']['extra']) == (['two'], ['three'])
    assert 'missing: 1 cases: two' in capsys.readouterr().err


def test_another_grid_is_refused_unless_resampling_is_asked_for(rescore, folders):
    expected = rescore()['cases'][0]['classes']
    file = folders / 'predicted' / 'one.nii.gz'
    turned = nib.as_closest_canonical(nib.load(file))  # the same voxels in another order
    nib.save(turned, file)
    with pytest.raises(ValueError, match=r'1 predictions lie on another grid.*one: truth \(7, 6, 5\).*--resample'):
        rescore()
    results = rescore('--resample')
    for name, scores in expected.items():
        assert results['cases'][0]['classes'][name] == pytest.approx(scores)
    assert results['files']['resampled'] == ['one']


def test_unreadable_files_are_named_and_the_rest_is_scored_when_asked(rescore, folders):
    file = folders / 'predicted' / 'two.nii.gz'
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r'1 of 2 cases cannot be scored.*\n  two: .*two.nii.gz'):
        rescore()
    with pytest.raises(SystemExit, match=r'two.nii.gz'):
        rescore('--partial')
    results = read_results('out')
    assert [case['case'] for case in results['cases']] == ['one']
    assert list(results['files']['failed']) == ['two']


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--convention', 'synapse'], "Did you mean 'synapse-zero'"),
        (['--scores', 'dcie'], "Did you mean 'dice'"),
        (['--regions', 'any=near,fra'], "Did you mean 'far'"),
        (['--regions', 'any'], 'NAME=VALUE'),
        (['--tolerance', 'near=1'], 'missing'),
        (['--tolerance', 'two'], 'one number of mm'),
        (['--label-map', 'a=b'], 'whole numbers'),
        (['--reported', 'nowhere'], 'nowhere'),
        (['--workers', '0'], '--workers'),
    ],
)
def test_options_that_make_no_sense_are_refused(rescore, options, words):
    with pytest.raises(ValueError, match=words):
        rescore(*options)


def test_truth_and_class_names_are_needed(rescore):
    with pytest.raises(ValueError, match='--truth'):
        rescore(truth=[])
    with pytest.raises(ValueError, match='--classes'):
        rescore(names=[])
    with pytest.raises(ValueError, match='must be a folder'):
        rescore(truth=['--truth', 'nowhere'])


@pytest.fixture
def probabilities(folders):
    """Probabilities of both cases, one file packed and one stored in 16 bits."""
    values = {}
    for number, case in enumerate(('one', 'two')):
        array = np.random.default_rng(number).dirichlet((1, 1, 1), (7, 6, 5)).astype(np.float32)
        image = nib.Nifti1Image(array, AFFINE)
        if number:
            image.set_data_dtype(np.uint16)
        (folders / 'probabilities').mkdir(exist_ok=True)
        nib.save(image, folders / 'probabilities' / f'{case}.nii{"" if number else ".gz"}')
        values[case] = array
    return values


@pytest.mark.parametrize('slab', [1, 2**26])
def test_probabilities_are_judged_slab_by_slab(rescore, probabilities, monkeypatch, slab):
    monkeypatch.setattr(probability_files, '_SLAB_BYTES', slab)
    found = rescore('--probabilities', 'probabilities', '--scores', 'dice')['reliability']
    pooled = Reliability(3)
    for number, (case, each) in enumerate(zip(probabilities, found['cases'], strict=True)):
        alone = Reliability(3)
        alone.add(probabilities[case], labels_of(number))
        pooled.add(probabilities[case], labels_of(number))
        assert each['case'] == case
        assert each['foreground'] == pytest.approx(alone.scores()['foreground'], abs=1e-4)
    assert found['pooled']['all'] == pytest.approx(pooled.scores()['all'], abs=1e-4)
    assert list(found['pooled']['entropy_of_classes']) == ['background', 'near', 'far']
    assert found['mean']['all']['nll'] == pytest.approx(np.mean([case['all']['nll'] for case in found['cases']]))
    assert sum(row['voxels'] for row in found['diagram']['all']) == 2 * 7 * 6 * 5


def test_probabilities_that_do_not_fit_are_refused(rescore, probabilities, folders):
    file = folders / 'probabilities' / 'two.nii'
    save(file, np.zeros((7, 6, 5, 2), np.float32))
    with pytest.raises(ValueError, match=r'two.nii: must hold \(X, Y, Z, 3\)'):
        rescore('--probabilities', 'probabilities')
    save(file, np.full((7, 6, 5, 3), 0.5, np.float32))
    with pytest.raises(ValueError, match=r'two.nii: .*sum to 1'):
        rescore('--probabilities', 'probabilities')
    save(file, np.full((7, 6, 4, 3), 1 / 3, np.float32))
    with pytest.raises(ValueError, match='grid of their truth'):
        rescore('--probabilities', 'probabilities')
    file.unlink()
    with pytest.raises(ValueError, match='1 cases have no probabilities: two'):
        rescore('--probabilities', 'probabilities')

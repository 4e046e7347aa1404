from __future__ import annotations

import csv
import io
import json
import math

import nibabel as nib
import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from rich.console import Console

from medctx3d.evaluation import VolumeMetric, print_table
from medctx3d.evaluation.report import read_results
from medctx3d.structures import VolumeData, VolumeDataSample

META = dict(classes=('background', 'liver', 'spleen', 'cyst'), reported=('liver', 'spleen'))
LPS = np.diag([-1.5, -2.0, 4.0, 1.0])


def save_case(folder, labels, *, affine=LPS, name='case7', file_labels=None):
    image, label = folder / f'{name}.nii.gz', folder / f'{name}_label.nii.gz'
    nib.save(nib.Nifti1Image(np.zeros(labels.shape, np.int16), affine), image)
    nib.save(nib.Nifti1Image(labels if file_labels is None else file_labels, affine), label)
    return str(image), str(label)


def sample_of(folder, labels, prediction=None, **kwargs):
    """An LPS file whose working grid is its RAS+ turn, cut by one voxel on each side."""
    image, label = save_case(folder, labels, **kwargs)
    affine = kwargs.get('affine', LPS)
    turned = nib.as_closest_canonical(nib.Nifti1Image(labels if prediction is None else prediction, affine))
    cut = turned.slicer[1:-1, 1:-1, 1:-1]
    working = torch.from_numpy(np.asarray(cut.dataobj).astype(np.int64))[None]
    name = kwargs.get('name', 'case7')
    sample = VolumeDataSample(
        metainfo=dict(case=name, image_path=image, label_path=label, affine=cut.affine, source_affine=affine,
                      source_shape=labels.shape)
    )  # fmt: skip
    sample.pred_sem_seg = VolumeData(data=working)
    sample.gt_sem_seg = VolumeData(data=working.clone())
    return sample


@pytest.fixture
def labels():
    volume = np.zeros((14, 12, 10), np.uint8)
    volume[2:8, 2:9, 2:7] = 1
    volume[9:12, 3:6, 3:8] = 2
    return volume


def evaluate(metric, samples, meta=META):
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = meta
    evaluator.process(samples)
    return evaluator.evaluate(len(samples))


@pytest.mark.parametrize('grid', ['source', 'working'])
def test_an_identity_prediction_scores_perfectly_through_the_evaluator(tmp_path, labels, grid):
    scores = evaluate(VolumeMetric(grid, show_table=False), [sample_of(tmp_path, labels)])
    assert scores['dice'] == scores['nsd'] == scores['dice/liver'] == 1.0
    assert scores['hd95'] == scores['asd'] == 0.0
    assert math.isnan(scores['dice/cyst'])


def test_the_source_grid_sees_what_the_working_grid_cut_off(tmp_path, labels):
    labels[0, :, :] = 1  # lies in the plane that the working grid lacks
    sample = sample_of(tmp_path, labels)
    working = evaluate(VolumeMetric('working', ('dice',), show_table=False), [sample])
    source = evaluate(VolumeMetric('source', ('dice',), show_table=False), [sample])
    assert working['dice/liver'] == 1.0
    assert source['dice/liver'] < 0.9


def test_distances_are_in_mm_of_the_file(tmp_path, labels):
    shifted = np.roll(labels, 1, axis=2)  # 4 mm
    scores = evaluate(VolumeMetric(scores=('hd95',), show_table=False), [sample_of(tmp_path, labels, shifted)])
    assert scores['hd95/spleen'] == pytest.approx(4.0)


def test_the_label_map_is_applied_to_the_file(tmp_path, labels):
    other_ids = np.where(labels == 2, 40, labels)
    sample = sample_of(tmp_path, labels, file_labels=other_ids)
    meta = dict(META, label_map={40: 2})
    assert evaluate(VolumeMetric(scores=('dice',), show_table=False), [sample], meta)['dice/spleen'] == 1.0


def test_files_hold_means_cases_and_rules(tmp_path, labels):
    out = tmp_path / 'out'
    missed = np.where(labels == 2, 0, labels)
    samples = [sample_of(tmp_path, labels, name='a'), sample_of(tmp_path, labels, missed, name='b')]
    scores = evaluate(VolumeMetric(out_dir=str(out), nsd_tolerance_mm=3, show_table=False), samples)
    results = json.loads((out / 'results.json').read_text(), parse_constant=pytest.fail)  # no NaN: not JSON
    assert results['mean']['dice'] == scores['dice'] == pytest.approx((1 + 0.5) / 2)
    assert results['mean_all']['dice'] == results['mean']['dice']  # nobody has a cyst: it does not count
    diagonal = np.linalg.norm(np.array(labels.shape) * [1.5, 2, 4])
    assert results['classes']['spleen']['hd95'] == pytest.approx(diagonal / 2)
    assert results['classes']['cyst'] == dict(dice=None, iou=None, hd95=None, asd=None, nsd=None, cases=0)
    assert [case['case'] for case in results['cases']] == ['a', 'b']
    assert results['rules']['convention'] == 'diagonal-penalty'
    assert results['rules']['absent']['missed']['hd95'] == 'diagonal'
    assert results['rules']['nsd_tolerance_mm'] == 3
    assert results['rules']['grid'] == 'source'
    assert results['rules']['reported'] == ['liver', 'spleen']
    with open(out / 'per_case.csv', newline='') as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * 3
    assert rows[4]['case'] == 'b'
    assert float(rows[4]['dice']) == 0.0
    assert rows[5]['dice'] == ''


def test_predictions_are_saved_on_the_grid_of_their_image(tmp_path, labels):
    out = tmp_path / 'out'
    evaluate(VolumeMetric('working', out_dir=str(out), save_predictions=True, show_table=False),
             [sample_of(tmp_path, labels)])  # fmt: skip
    saved = nib.load(out / 'predictions' / 'case7.nii.gz')
    np.testing.assert_array_equal(saved.affine, LPS)
    np.testing.assert_array_equal(np.asarray(saved.dataobj), labels)
    assert saved.get_data_dtype() == np.uint8


def test_the_table_shows_classes_and_means(tmp_path, labels, capsys):
    evaluate(VolumeMetric(), [sample_of(tmp_path, labels)])
    shown = capsys.readouterr().out
    for words in ('HD95 mm', 'liver', '1.000', 'mean of 2', 'mean of 3', 'NSD at 2 mm', '-'):
        assert words in shown
    assert 'iou' not in shown.lower()


def test_regions_of_the_data_set_are_scored_and_may_be_reported(tmp_path, labels):
    meta = dict(META, regions=dict(both=('liver', 'spleen')), reported=('both',))
    swapped = np.where(labels == 1, 2, np.where(labels == 2, 1, 0)).astype(np.uint8)
    out = tmp_path / 'out'
    sample = sample_of(tmp_path, labels, swapped)
    scores = evaluate(
        VolumeMetric(scores=('dice',), out_dir=str(out), convention='nan', show_table=False), [sample], meta
    )
    assert scores['dice'] == scores['dice/both'] == 1.0
    assert scores['dice/liver'] == 0.0
    results = read_results(out)
    assert results['mean_all']['dice'] == 0.0
    assert results['rules']['regions'] == dict(both=['liver', 'spleen'])
    console = Console(file=io.StringIO(), width=80)
    print_table(results, console=console)
    assert 'mean of 1' in console.file.getvalue()
    assert 'absent classes: nan' in console.file.getvalue()


def test_a_table_without_distances_has_no_such_columns():
    results = dict(mean=dict(dice=0.5), classes=dict(a=dict(dice=0.5, cases=1)), cases=[1], rules=dict(reported=['a']))
    console = Console(file=io.StringIO(), width=80)
    print_table(results, console=console)
    assert 'Dice' in console.file.getvalue()
    assert 'HD95' not in console.file.getvalue()


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (dict(grid='file'), 'grid'),
        (dict(save_predictions=True), 'out_dir'),
        (dict(scores=('jaccard',)), 'jaccard'),
        (dict(convention='missed_is_diagonal'), 'diagonal-penalty'),
    ],
)
def test_bad_arguments_are_refused_at_once(arguments, words):
    with pytest.raises(ValueError, match=words):
        VolumeMetric(**arguments)


def test_missing_truth_prediction_and_classes_are_named(tmp_path, labels):
    sample = sample_of(tmp_path, labels)
    with pytest.raises(ValueError, match='classes'):
        evaluate(VolumeMetric(show_table=False), [sample], {})
    sample.set_metainfo(dict(label_path=None))
    with pytest.raises(ValueError, match="'case7' has no label"):
        evaluate(VolumeMetric(show_table=False), [sample])
    del sample.gt_sem_seg
    with pytest.raises(ValueError, match='gt_sem_seg'):
        evaluate(VolumeMetric('working', show_table=False), [sample])


def test_a_label_of_another_shape_names_the_case(tmp_path, labels):
    sample = sample_of(tmp_path, labels, file_labels=labels[:-1])
    with pytest.raises(ValueError, match="case 'case7'"):
        evaluate(VolumeMetric(scores=('dice',), show_table=False), [sample])

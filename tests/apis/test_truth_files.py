"""Truth and class names from a config."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from mmengine.config import Config

from medctx3d.apis.rescoring import Rescoring, rescore
from medctx3d.apis.truth_files import find_truth, label_files
from medctx3d.evaluation.metrics.score_rules import ScoreRules

METAINFO = dict(
    classes=('background', 'near', 'far'), regions=dict(any=('near', 'far')), reported=('any',), label_map={2: 1, 1: 2}
)


@pytest.fixture
def config(nifti_dataset, monkeypatch):
    monkeypatch.chdir(nifti_dataset)
    dataset = dict(
        type='VolumeDataset',
        ann_file='dataset.json',
        split='test',
        load_pipeline=[dict(type='LoadVolume')],
        pipeline=[dict(type='PackVolume')],
        metainfo=METAINFO,
        test_mode=True,
    )
    return Config(dict(test_dataloader=dict(batch_size=1, dataset=dataset)))


def test_a_config_names_truth_classes_regions_and_label_map(config):
    Path('predicted').mkdir()
    for number in (5, 6):  # of the test split
        image = nib.load(f'label{number}.nii.gz')
        swapped = np.array([0, 2, 1], np.uint8)[np.asarray(image.dataobj)]
        nib.save(nib.Nifti1Image(swapped, image.affine), f'predicted/image{number}.nii.gz')
    truth = find_truth(None, config=config)
    results = rescore(label_files(Path('predicted')), truth, Rescoring(ScoreRules(('dice', 'hd95'))))
    assert [case['case'] for case in results['cases']] == ['image5', 'image6']
    assert results['mean'] == results['mean_all'] == dict(dice=1.0, hd95=0.0)
    assert results['rules']['reported'] == ['any']
    assert results['files']['label_map'] == {2: 1, 1: 2}


def test_what_is_given_goes_before_what_the_config_says(config):
    truth = find_truth(Path('dataset.json'), config=config, split='validation', metainfo=dict(reported=['far']))
    assert list(truth.files) == ['image4']
    assert truth.metainfo['reported'] == ['far']
    assert truth.metainfo['regions'] == METAINFO['regions']


def test_a_case_without_label_is_named(nifti_dataset):
    file = nifti_dataset / 'list.json'
    file.write_text('{"labels": {"0": "background", "1": "near"}, "test": [{"image": "image5.nii.gz"}]}')
    with pytest.raises(ValueError, match=r'list.json: test: 1 cases have no label to compare with: image5'):
        find_truth(file)

"""On which grid a prediction lies, and that who reads it need not know."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch

from medctx3d.evaluation import VolumeMetric
from medctx3d.inference import StreamedWindowInferer
from medctx3d.models.segmentors.prediction import predict_volumes
from medctx3d.registry import MODELS
from medctx3d.structures import VolumeData, VolumeDataSample
from medctx3d.visualization import VolumeVisualizer

FINE = np.diag([-1.0, -1.0, 1.0, 1.0])  # the file: LPS
META = dict(classes=('background', 'organ'))


@pytest.fixture
def case(tmp_path):
    """An organ in a file of 1 mm, and its indicator on a cropped RAS grid of 2 mm as the scores of a network."""
    labels = np.zeros((24, 20, 16), np.uint8)
    labels[6:14, 6:16, 4:12] = 1
    nib.save(nib.Nifti1Image(labels, FINE), tmp_path / 'label.nii.gz')
    coarse = labels[::-1, ::-1][2:22:2, 2:18:2, 0:16:2].astype(np.float32)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = [-21.0, -17.0, 0.0]
    sample = VolumeDataSample(
        metainfo=dict(
            case='a', image_path=str(tmp_path / 'label.nii.gz'), label_path=str(tmp_path / 'label.nii.gz'),
            affine=affine, source_affine=FINE, source_shape=labels.shape,
        )
    )  # fmt: skip
    sample.gt_sem_seg = VolumeData(data=torch.from_numpy(coarse > 0.5).long()[None])
    return torch.from_numpy(coarse)[None, None], sample, labels


def predict(case, *, on_source):
    inputs, sample, _ = case
    inferer = StreamedWindowInferer((4, 4, 4), overlap=0.5)
    scores = lambda windows: torch.cat([0.5 - windows, windows - 0.5], 1)  # noqa: E731
    return predict_volumes(inputs, [sample.clone()], inferer=inferer, network=scores, on_source=on_source)[0]


def score(sample, grid):
    metric = VolumeMetric(grid, ('dice',), show_table=False)
    metric.dataset_meta = META
    metric.process(None, [sample.to_dict()])
    return metric.results[0]['classes']['organ']['dice']


@pytest.mark.parametrize('on_source', [False, True])
def test_a_metric_scores_a_prediction_on_either_grid(case, on_source):
    sample = predict(case, on_source=on_source)
    expected = FINE if on_source else sample.affine
    np.testing.assert_array_equal(sample.pred_sem_seg.affine, expected)
    assert score(sample, 'working') > 0.95
    assert score(sample, 'source') > 0.6


def test_scores_give_the_boundary_of_the_file_better_than_labels(case):
    by_scores, by_labels = (score(predict(case, on_source=on_source), 'source') for on_source in (True, False))
    assert by_scores >= by_labels


def test_a_picture_shows_a_prediction_on_either_grid(case, tmp_path):
    pictures = []
    for on_source in (False, True):
        sample = predict(case, on_source=on_source)
        visualizer = VolumeVisualizer()
        visualizer.dataset_meta = META
        visualizer.add_datasample('a', case[0][0], sample, out_file=tmp_path / f'{on_source}.png')
        pictures.append(visualizer.get_image())
    assert pictures[0].shape == pictures[1].shape
    assert (pictures[0] != pictures[1]).any(-1).mean() < 0.1


def test_a_test_leaves_labels_on_the_grid_of_the_file_and_a_validation_on_the_working_grid(case):
    inputs, sample, labels = case
    model = MODELS.build(
        dict(
            type='VolumeSegmentor',
            network=dict(
                type='WholeNet', net=dict(type='torch.nn.Conv3d', in_channels=1, out_channels=2, kernel_size=1)
            ),
            criterion=dict(type='SegCriterion', loss_ce=dict(type='torch.nn.CrossEntropyLoss')),
            inferer=dict(type='StreamedWindowInferer', roi_size=(4, 4, 4)),
        )
    )  # fmt: skip
    data = dict(inputs=[inputs[0]], data_samples=[sample])
    assert model.val_step(data)[0].pred_sem_seg.shape == tuple(inputs.shape[2:])
    assert model.test_step(data)[0].pred_sem_seg.shape == labels.shape

"""What init_model and segment_volume do with prediction options, on files."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch import nn

from medctx3d.apis import (
    check_memory,
    init_model,
    prepare_volume,
    save_segmentation,
    segment_volume,
    segmentation_on_source_grid,
)
from medctx3d.inference import MemoryLimitError, PredictionOptions
from medctx3d.registry import MODELS
from medctx3d.typing import SegOutput

SIDES = ('background', 'left_kidney', 'right_kidney')
AFFINE = np.array([[-1.0, 0, 0, 12], [0, -1.0, 0, 9], [0, 0, 2.0, -8], [0, 0, 0, 1]])  # LPS


@MODELS.register_module()
class Thresholds(nn.Module):
    """Class k where the intensity, 0 to 1, is nearest to k times a learned step."""

    def __init__(self):
        super().__init__()
        self.step = nn.Parameter(torch.tensor(0.5))

    def forward(self, inputs):
        levels = torch.arange(3.0).view(1, 3, 1, 1, 1) * self.step
        return SegOutput(logits=(-4 * (inputs - levels).abs(),))


def config(*, inferer=None, pixdim=(1.0, 1.0, 2.0), intensity=True, **model):
    keys = dict(keys=['image', 'label'], allow_missing_keys=True)
    load = [
        dict(type='LoadVolume'),
        dict(type='monai.transforms.Orientationd', axcodes='RAS', labels=None, **keys),
        dict(type='monai.transforms.Spacingd', pixdim=pixdim, mode=('bilinear', 'nearest'), **keys),
    ]
    if intensity:
        load.append(
            dict(type='monai.transforms.ScaleIntensityRanged', keys=['image'], a_min=0.0, a_max=200.0, b_min=0.0,
                 b_max=1.0, clip=True)
        )  # fmt: skip
    dataset = dict(
        type='VolumeDataset', ann_file='none.json', split='test', load_pipeline=load,
        pipeline=[dict(type='PackVolume')], metainfo=dict(classes=SIDES),
    )  # fmt: skip
    return Config(
        dict(
            model=dict(
                type='VolumeSegmentor',
                network=dict(type='Thresholds'),
                criterion=dict(type='SegCriterion', loss_ce=dict(type='torch.nn.CrossEntropyLoss')),
                inferer=inferer or dict(type='StreamedWindowInferer', roi_size=(8, 8, 8), overlap=0.25),
                **model,
            ),
            test_dataloader=dict(dataset=dataset),
        )
    )


@pytest.fixture
def labels():
    volume = np.zeros((26, 18, 12), np.uint8)
    volume[2:7, 3:11, 2:9] = 1
    volume[5:7, 12:15, 4:10] = 2
    return volume


@pytest.fixture
def scan(tmp_path, labels):
    nib.save(nib.Nifti1Image((labels * 100).astype(np.int16), AFFINE), tmp_path / 'scan.nii.gz')
    return tmp_path / 'scan.nii.gz'


def checkpoint(tmp_path, step):
    model = init_model(config(), device='cpu')
    model.network.step.data.fill_(step)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / f'{step}.pth')
    return tmp_path / f'{step}.pth'


def test_the_prediction_lies_on_the_grid_of_the_file_and_says_so(scan, labels):
    sample = segment_volume(init_model(config(), device='cpu'), scan)
    np.testing.assert_array_equal(sample.pred_sem_seg.affine, AFFINE)
    np.testing.assert_array_equal(sample.pred_sem_seg.data[0].numpy(), labels)
    assert sample.windows == 4 * 3 * 2
    assert sample.skipped_windows == 0


def test_labels_can_be_brought_to_the_grid_instead_of_scores(scan, labels):
    model = init_model(config(), device='cpu', options=PredictionOptions(resample='labels'))
    sample = segment_volume(model, scan)
    np.testing.assert_array_equal(sample.pred_sem_seg.affine, sample.affine)
    np.testing.assert_array_equal(segmentation_on_source_grid(sample), labels)


def test_maps_are_written_on_the_grid_of_the_image(tmp_path, scan, labels):
    model = init_model(config(pixdim=(1.5, 1.5, 1.5)), device='cpu')
    paths = dict(probabilities=tmp_path / 'p.nii', entropy=tmp_path / 'e.nii')
    sample = segment_volume(model, scan, **paths)
    shown = nib.load(paths['probabilities'])
    np.testing.assert_array_equal(shown.affine, AFFINE)
    probabilities = shown.get_fdata()
    assert probabilities.shape == (*labels.shape, 3)
    best = np.sort(probabilities, axis=-1)
    clear = best[..., -1] - best[..., -2] > 1e-3
    np.testing.assert_array_equal(probabilities.argmax(-1)[clear], sample.pred_sem_seg.data[0].numpy()[clear])
    assert nib.load(paths['entropy']).shape == labels.shape


def test_maps_need_scores_on_the_grid_of_the_image(tmp_path, scan):
    model = init_model(config(), device='cpu', options=PredictionOptions(resample='labels'))
    with pytest.raises(ValueError, match=r"'scan'.*resample='scores'"):
        segment_volume(model, scan, entropy=tmp_path / 'e.nii')


def test_several_checkpoints_answer_together(tmp_path, scan):
    files = [checkpoint(tmp_path, step) for step in (0.5, 1.5)]
    together = init_model(config(), files, device='cpu', options=PredictionOptions(average='logits'))
    window = torch.rand(1, 1, 4, 4, 4)
    alone = [init_model(config(), file, device='cpu').scorer(window) for file in files]
    torch.testing.assert_close(together.scorer(window), sum(alone) / 2)
    assert segment_volume(together, scan).pred_sem_seg.shape == (26, 18, 12)


def test_student_and_teacher_answer_together(tmp_path):
    cfg = config(teacher=dict(type='EMATeacher'))
    full = MODELS.build(cfg.model)
    full.prime_teacher()
    full.network.step.data.fill_(1.5)
    torch.save(dict(state_dict=full.state_dict()), tmp_path / 'full.pth')
    window = torch.rand(1, 1, 4, 4, 4)
    scores = {
        name: init_model(
            cfg, tmp_path / 'full.pth', device='cpu', options=PredictionOptions(networks=name, average='logits')
        ).scorer(window)
        for name in ('student', 'teacher', 'both')
    }
    torch.testing.assert_close(scores['both'], (scores['student'] + scores['teacher']) / 2)
    assert not torch.equal(scores['student'], scores['teacher'])
    with pytest.raises(ValueError, match=r'no model\.teacher'):
        init_model(config(), device='cpu', options=PredictionOptions(networks='teacher'))


def test_left_and_right_are_mirrored_only_with_pairs(scan):
    options = PredictionOptions(mirror_axes=(0, 1))
    with pytest.raises(ValueError, match=r'mirror_axes=\(0, 1\).*use mirror_axes=\(1,\)'):
        init_model(config(), device='cpu', options=options)
    paired = {'test_dataloader.dataset.metainfo.mirror_pairs': [('left_kidney', 'right_kidney')]}
    model = init_model(config(), device='cpu', options=options, cfg_options=paired)
    assert model.scorer.swaps == ((1, 2),)
    assert len(model.scorer.flips) == 4


def test_air_is_skipped_where_the_pipeline_knows_it(scan, labels):
    model = init_model(config(), device='cpu', options=PredictionOptions(skip_air=True))
    assert model.inferer.air == 0.0
    sample = segment_volume(model, scan)
    assert sample.skipped_windows > 0
    np.testing.assert_array_equal(sample.pred_sem_seg.data[0].numpy(), labels)
    with pytest.raises(ValueError, match=r'skip_air: .* model\.inferer\.air=VALUE'):
        init_model(config(intensity=False), device='cpu', options=PredictionOptions(skip_air=True))


def test_overlap_and_inferer_are_checked(scan):
    assert init_model(config(), device='cpu', options=PredictionOptions(overlap=0.5)).inferer.overlap == (0.5,) * 3
    plain = dict(type='monai.inferers.SlidingWindowInferer', roi_size=(8, 8, 8))
    sample = segment_volume(init_model(config(inferer=plain), device='cpu'), scan)
    np.testing.assert_array_equal(sample.pred_sem_seg.affine, sample.affine)  # its labels lie on the working grid
    with pytest.raises(ValueError, match=r"max_memory need model\.inferer=dict\(type='StreamedWindowInferer'"):
        init_model(config(inferer=plain), device='cpu', options=PredictionOptions(max_memory=10**9))


def test_what_does_not_fit_is_refused_from_the_header_alone(scan):
    model = init_model(config(), device='cpu', options=PredictionOptions(max_memory=10**6))
    with pytest.raises(MemoryLimitError, match=r'scan\.nii\.gz: 26 x 18 x 12 voxels .* 3 classes need .* 1 MB'):
        check_memory(model, [scan])
    with pytest.raises(MemoryLimitError, match="case 'scan'"):
        segment_volume(model, scan)


def test_what_fits_is_predicted_as_planned(tmp_path, scan, labels):
    model = init_model(config(pixdim=(2.0, 2.0, 2.0)), device='cpu', options=PredictionOptions(max_memory=64 * 10**9))
    (plan,) = check_memory(model, [scan])
    assert plan.host['labels'] == 2 * labels.size
    assert plan.host['the volume'] == 4 * prepare_volume(model, scan)['inputs'].numel()
    save_segmentation(segment_volume(model, scan), tmp_path / 'out.nii.gz')
    assert nib.load(tmp_path / 'out.nii.gz').shape == labels.shape

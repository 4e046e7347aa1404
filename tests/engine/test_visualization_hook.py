"""Pictures of validations and tests in the course of a run."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from helpers_engine import run_config, train
from mmengine.visualization import LocalVisBackend

from medctx3d.engine.hooks import VolumeVisualizationHook
from medctx3d.registry import VISBACKENDS
from medctx3d.visualization import VolumeVisualizer, draw_overlay


def test_validations_are_drawn_into_the_work_dir_under_their_iteration(nifti_dataset, tmp_path):
    config = run_config(nifti_dataset, tmp_path / 'run', iterations=4, medcontext=False)
    config.train_cfg.val_interval = 2
    config.val_dataloader.dataset.split = 'test'  # two volumes
    config.custom_hooks = [dict(type='VolumeVisualizationHook', val_cases=1, window=(-1, 3))]
    config.visualizer = dict(type='VolumeVisualizer', vis_backends=[dict(type='LocalVisBackend')])
    runner = train(config)
    pictures = sorted((tmp_path / 'run').glob('*/vis_data/vis_image/*.png'))
    assert [picture.name for picture in pictures] == ['validation_image5_2.png', 'validation_image5_4.png']
    batch = next(iter(runner.val_dataloader))
    (sample,) = runner.model.val_step(batch)
    expected = draw_overlay(
        batch['inputs'][0][0].numpy(),
        affine=sample.affine,
        truth=sample.gt_sem_seg.data[0].numpy(),
        prediction=sample.pred_sem_seg.data[0].numpy(),
        classes=runner.val_dataloader.dataset.metainfo['classes'],
        window=(-1, 3),
        title='validation_image5',
    )
    np.testing.assert_array_equal(cv2.imread(str(pictures[1]))[..., ::-1], expected)


def test_a_backend_gets_names_that_it_can_keep(tmp_path):
    visualizer = VolumeVisualizer(vis_backends=[dict(type='LocalVisBackend')], save_dir=str(tmp_path))
    visualizer.add_image('a/b c<1>', np.zeros((4, 4, 3), np.uint8), 3)
    assert [path.name for path in tmp_path.rglob('*.png')] == ['a_b_c_1__3.png']


def test_mlflow_gets_names_that_do_not_exclude_each_other(monkeypatch):
    backend = object.__new__(VISBACKENDS.get('MLflowVisBackend'))
    kept = []
    monkeypatch.setattr(type(backend), 'add_image', lambda self, name, image, step: kept.append(name))
    monkeypatch.setattr(type(backend), 'add_scalars', lambda self, values, step, file: kept.extend([*values, step]))
    visualizer = VolumeVisualizer(vis_backends=[dict(type=LocalVisBackend, save_dir='unused')])
    monkeypatch.setattr(visualizer, '_vis_backends', {'mlflow': backend})
    for step in (2, 4):
        visualizer.add_image('validation_a', np.zeros((4, 4, 3), np.uint8), step)
    visualizer.add_scalars({'dice': 0.5, 'dice/near': 0.6}, 4)
    visualizer.add_scalar('hd95/near', 3.0, 6)
    assert kept == ['validation_a_2.png', 'validation_a_4.png', 'dice', 'dice.near', 4, 'hd95.near', 6]


@pytest.mark.parametrize(
    ('arguments', 'match'), [(dict(val_cases=-1), 'must be 0 or more, got -1'), (dict(), 'draws nothing: set out_dir')]
)
def test_a_hook_without_work_is_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        VolumeVisualizationHook(**arguments)

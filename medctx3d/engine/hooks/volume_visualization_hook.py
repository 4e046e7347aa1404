"""Pictures of what a model predicts."""

from __future__ import annotations

import os
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from medctx3d.registry import HOOKS


@HOOKS.register_module()
class VolumeVisualizationHook(Hook):
    """Draw validated and tested volumes: three planes with truth and prediction, through the Runner's visualizer.

    Pictures of a validation go to the backends of the visualizer, under the iteration of the training; a backend that
    keeps files, ``LocalVisBackend``, keeps them in ``<time>/vis_data/vis_image`` of the work dir. Pictures of a test
    go to ``out_dir``.

    Args:
        out_dir: Folder for ``<case>.png`` of every tested volume; None draws none.
        window: Normalised intensities shown as black and white; None takes the volume's own range.
        val_cases: How many volumes are drawn at every validation, the first of its split.

    Raises:
        ValueError: ``val_cases`` is negative, or there is nothing to draw.
    """

    def __init__(
        self, out_dir: str | None = None, *, window: tuple[float, float] | None = None, val_cases: int = 0
    ) -> None:
        if val_cases < 0:
            raise ValueError(f'VolumeVisualizationHook: val_cases must be 0 or more, got {val_cases}')
        if out_dir is None and val_cases == 0:
            raise ValueError('VolumeVisualizationHook draws nothing: set out_dir for tests, val_cases for validations')
        self.out_dir = out_dir
        self.window = window
        self.val_cases = val_cases
        self._drawn = 0

    def before_val_epoch(self, runner: Runner) -> None:
        """Begin to count anew."""
        self._drawn = 0

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: Any = None
    ) -> None:
        """Draw the volumes of one batch, as far as they are among the first."""
        assert data_batch is not None
        for image, sample in zip(data_batch['inputs'], outputs or (), strict=True):
            if self._drawn == self.val_cases:
                return
            self._drawn += 1
            runner.visualizer.dataset_meta = runner.val_dataloader.dataset.metainfo
            case = sample.get('case', f'batch{batch_idx}')
            runner.visualizer.add_datasample(f'validation_{case}', image, sample, window=self.window, step=runner.iter)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: Any = None
    ) -> None:
        """Draw the volumes of one batch."""
        if self.out_dir is None:
            return
        assert data_batch is not None
        for image, sample in zip(data_batch['inputs'], outputs or (), strict=True):
            case = sample.get('case', f'batch{batch_idx}')
            runner.visualizer.dataset_meta = runner.test_dataloader.dataset.metainfo
            runner.visualizer.add_datasample(
                case, image, sample, window=self.window, out_file=os.path.join(self.out_dir, f'{case}.png')
            )

"""Pictures of what a model predicts."""

from __future__ import annotations

import os
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from medctx3d.registry import HOOKS


@HOOKS.register_module()
class VolumeVisualizationHook(Hook):
    """Draw every tested volume: three planes with truth and prediction, through the Runner's visualizer.

    Args:
        out_dir: Folder for ``<case>.png``.
        window: Normalised intensities shown as black and white; None takes the volume's own range.
    """

    def __init__(self, out_dir: str, *, window: tuple[float, float] | None = None) -> None:
        self.out_dir = out_dir
        self.window = window

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: Any = None
    ) -> None:
        """Draw the volumes of one batch."""
        assert data_batch is not None
        for image, sample in zip(data_batch['inputs'], outputs or (), strict=True):
            case = sample.get('case', f'batch{batch_idx}')
            runner.visualizer.dataset_meta = runner.test_dataloader.dataset.metainfo
            runner.visualizer.add_datasample(
                case, image, sample, window=self.window, out_file=os.path.join(self.out_dir, f'{case}.png')
            )

"""Segment many volumes into a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import nn

from medctx3d.apis.case_files import Case, check_out_dir, find_cases
from medctx3d.apis.init_model import init_model
from medctx3d.apis.segment import inference_dataset, predict_prepared, prepare_volume, save_segmentation
from medctx3d.datasets.checks import check_headers
from medctx3d.registry import INFERENCERS
from medctx3d.visualization.volume_visualizer import VolumeVisualizer


@INFERENCERS.register_module()
class VolumeInferencer:
    """Segment files and folders one volume at a time; memory does not grow with their number.

    Args:
        model: Config file or config, or a model from :func:`init_model`.
        weights: Checkpoint; None for a model that has its weights.
        device: Such as ``cuda:0``; default: the first accelerator, else the CPU.

    Example:
        >>> VolumeInferencer('config.py', 'iter_30000.pth')(['scans/'], 'segmentations/')  # doctest: +SKIP
    """

    def __init__(
        self, model: str | Path | Config | nn.Module, weights: str | Path | None = None, *, device: str | None = None
    ) -> None:
        self.model = model if isinstance(model, nn.Module) else init_model(model, weights, device=device)
        self.metainfo = inference_dataset(self.model.cfg).metainfo
        self.visualizer: VolumeVisualizer | None = None

    def find(self, inputs: Sequence[str | os.PathLike[str]]) -> list[Case]:
        """The cases in files and folders, headers checked.

        Raises:
            FileNotFoundError: An input is missing, or a folder holds no volume.
            ValueError: A header breaks a rule, or has another number of channels than the model.
        """
        cases = find_cases(inputs, len(self.metainfo.get('channels') or ('image',)))
        for case in cases:
            check_headers(dict(case=case.name, image=case.image, label=None), self.metainfo)
        return cases

    def __call__(
        self,
        inputs: Sequence[str | os.PathLike[str]],
        out_dir: str | os.PathLike[str],
        *,
        overlay: bool = False,
        progress: bool = True,
    ) -> list[Path]:
        """Segment and write ``<case>.nii.gz``, on the grid and with the header of its image.

        Args:
            inputs: Files and folders; see :func:`find_cases`.
            out_dir: Folder for the results, made where missing.
            overlay: Also draw ``overlays/<case>.png``.
            progress: Whether to show a progress bar.

        Returns:
            The written segmentations.

        Raises:
            FileNotFoundError: An input is missing, or a folder holds no volume.
            ValueError: A volume is unusable, or ``out_dir`` holds inputs.
            OSError: ``out_dir`` cannot be written to.
        """
        cases = self.find(inputs)
        out = check_out_dir(out_dir, cases)
        columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        written = []
        with Progress(*columns, TextColumn('left'), TimeRemainingColumn(), disable=not progress) as bar:
            task = bar.add_task('segmenting', total=len(cases))
            for case in cases:
                bar.update(task, description=case.name)
                written.append(self._segment(case, out, overlay=overlay))
                bar.advance(task)
        return written

    def _segment(self, case: Case, out: Path, *, overlay: bool) -> Path:
        packed = prepare_volume(self.model, case.image)
        sample = predict_prepared(self.model, packed)
        path = out / f'{case.name}.nii.gz'
        save_segmentation(sample, path)
        if overlay:
            if self.visualizer is None:
                self.visualizer = VolumeVisualizer()
                self.visualizer.dataset_meta = self.metainfo
            picture = out / 'overlays' / f'{case.name}.png'
            self.visualizer.add_datasample(case.name, packed['inputs'], sample, draw_gt=False, out_file=picture)
        return path

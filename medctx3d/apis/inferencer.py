"""Segment many volumes into a folder."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, get_args

from mmengine.config import Config
from torch import nn

from medctx3d.apis.case_files import Case, check_out_dir, check_suffix, find_cases
from medctx3d.apis.inference_dataset import inference_dataset
from medctx3d.apis.inference_progress import InferenceProgress, InferenceSummary
from medctx3d.apis.inference_record import InferenceRecord, model_identity, versions
from medctx3d.apis.inference_share import Share, case_reason, segment_share
from medctx3d.apis.inference_workers import ModelSource, check_workers, helpers
from medctx3d.apis.init_model import init_model
from medctx3d.apis.memory import check_memory
from medctx3d.apis.prefetch import prepared_bytes
from medctx3d.apis.result_space import check_result_space
from medctx3d.apis.segment import predict_prepared, prepare_volume, save_segmentation
from medctx3d.datasets.checks import check_headers
from medctx3d.datasets.intensity_window import intensity_problem, intensity_window
from medctx3d.inference import PredictionOptions
from medctx3d.registry import INFERENCERS
from medctx3d.typing import SegmentsVolumes
from medctx3d.utils.volume_file import read_header
from medctx3d.utils.volume_header import VolumeHeader
from medctx3d.visualization.volume_visualizer import VolumeVisualizer

Extra = Literal['overlay', 'probabilities', 'entropy']

_MAP_VOXEL = 2  # bytes of one stored probability


@INFERENCERS.register_module()
class VolumeInferencer:
    """Segment files and folders one volume at a time; memory does not grow with their number.

    Args:
        model: Config file or config, or a model from :func:`init_model`.
        weights: Checkpoint, or several that answer together; None for a model that has its weights.
        device: Such as ``cuda:0``; default: the first accelerator, else the CPU.
        options: What is asked for beyond the config; a model from :func:`init_model` has its own.

    Example:
        >>> VolumeInferencer('config.py', 'iter_30000.pth')(['scans/'], 'segmentations/')  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str | Path | Config | nn.Module,
        weights: str | Path | Sequence[str | Path] | None = None,
        *,
        device: str | None = None,
        options: PredictionOptions | None = None,
    ) -> None:
        self.source: ModelSource | None = None
        if isinstance(model, nn.Module):
            self.model: Any = model
        else:
            self.source = ModelSource(model, weights, device, options)
            self.model = init_model(model, weights, device=device, options=options)
        dataset = inference_dataset(self.model.cfg)
        self.metainfo = dataset.metainfo
        self.channels = tuple(self.metainfo.get('channels') or ('image',))
        self.load_pipeline = dataset.load_pipeline
        self.extras: tuple[str, ...] = ()
        self.visualizer: VolumeVisualizer | None = None

    def find(self, inputs: Sequence[str | os.PathLike[str]], *, split: str = 'test') -> list[Case]:
        """The cases in files, folders, patterns and lists; see :func:`find_cases`.

        Raises:
            FileNotFoundError: An input is missing, or a folder holds no volume.
            ValueError: A list is damaged, a case lacks a channel, or two cases have one name.
        """
        return find_cases(inputs, len(self.channels), split=split)

    def check(self, cases: Sequence[Case]) -> tuple[dict[str, VolumeHeader], dict[str, str]]:
        """Headers of the cases that can be used, and why the others cannot, by case.

        Raises:
            ValueError: None can be used; the error is the first one's.
            OSError: Likewise.
        """
        headers: dict[str, VolumeHeader] = {}
        problems: dict[str, Exception] = {}
        for case in cases:
            try:
                check_headers(dict(case=case.name, image=case.image, label=None), self.metainfo)
                if self.model.options.max_memory is not None:
                    check_memory(self.model, [case.image])
                headers[case.name] = read_header(case.files[0])
            except (ValueError, OSError) as error:
                problems[case.name] = error
        if not headers:
            raise next(iter(problems.values()))
        return headers, {name: case_reason(error) for name, error in problems.items()}

    def __call__(
        self,
        inputs: Sequence[str | os.PathLike[str]],
        out_dir: str | os.PathLike[str],
        *,
        split: str = 'test',
        suffix: str | None = None,
        extras: Sequence[Extra] = (),
        overwrite: bool = False,
        workers: int = 1,
        progress: bool = True,
    ) -> InferenceSummary:
        """Segment and write one file per case, on the grid of its image, and ``inference.json``.

        What the same model has done in ``out_dir`` already is kept; processes and machines that are given the same
        folder share the rest. A case that fails is reported and left out.

        Args:
            inputs: Files, folders, patterns and lists; see :func:`find_cases`.
            out_dir: Folder for the results, made where missing.
            split: Which cases of a data list.
            suffix: Format of the results, such as ``.nii.gz``; None: that of each image.
            extras: Also written for every case: ``overlay``, the picture ``overlays/<case>.png``; ``probabilities`` of
                all classes and their ``entropy`` in nats, ``probabilities/<case>.nii`` and ``entropy/<case>.nii``.
            overwrite: Replace what another model or other options left in ``out_dir``.
            workers: Processes; they take GPUs in turn, or share the threads of the CPU.
            progress: Whether to show a progress bar.

        Returns:
            What was written, kept from before, failed, and is worked on by others.

        Raises:
            FileNotFoundError: An input is missing, or a folder holds no volume.
            ValueError: No case is usable, ``out_dir`` holds inputs or results of another model, or an argument is
                wrong.
            OSError: ``out_dir`` cannot be written to, or has too little space.
        """
        check_suffix(suffix)
        check_workers(self.source, workers)
        self._check_extras(extras)
        cases = self.find(inputs, split=split)
        headers, problems = self.check(cases)
        out = check_out_dir(out_dir, cases)
        run = f'{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}-{secrets.token_hex(3)}'
        record = InferenceRecord(out, model_identity(self.model, self._settings(suffix)), run, extras)
        results = {case.name: case.result_name(suffix) for case in cases}
        record.begin(results, self._about(workers), overwrite=overwrite)
        kept = {case.name for case in cases if record.is_done(case, results[case.name])}
        due = {results[name]: header for name, header in headers.items() if name not in kept}
        check_result_space(out, due, bytes_per_voxel=self._extra_bytes(extras))
        for case in cases:
            if case.name in problems:
                record.note(case, status='failed', reason=problems[case.name])
        self.extras = tuple(extras)
        needs = {n: prepared_bytes(header, len(self.channels), self.load_pipeline) for n, header in headers.items()}
        share = Share(record, [case for case in cases if case.name in headers], results, needs, workers)
        started = time.perf_counter()
        with InferenceProgress(record, headers, kept, shown=progress) as bar:
            self._work(share, bar)
        record.close(seconds=round(time.perf_counter() - started, 3))
        return InferenceSummary.of(record, results)

    def _work(self, share: Share, bar: InferenceProgress) -> None:
        """Segment all cases, with helpers if any; then what helpers that were killed have left."""
        ahead = self.model.options.max_memory is None  # a bound counts one case
        with helpers(self.source, share, self.extras) as ended:
            segment_share(share, self, prefetch=ahead, on_change=bar.refresh)
            while not bar.is_over() and not ended():
                bar.refresh()
        segment_share(share, self, prefetch=ahead, on_change=bar.refresh)
        bar.refresh()

    def prepare(self, case: Case) -> dict[str, Any]:
        """Read a case as the test data set of the config does."""
        started = time.perf_counter()
        return prepare_volume(self.model, case.image) | dict(seconds=time.perf_counter() - started)

    def segment(self, case: Case, prepared: dict[str, Any], result: Path) -> dict[str, Any]:
        """Segment a case that was read, and write its result."""
        times = dict(read=round(prepared.pop('seconds'), 3))
        started = time.perf_counter()
        files = {name: result.parent / name / f'{case.name}.nii' for name in self.extras if name != 'overlay'}
        sample = predict_prepared(self.model, prepared, **files)
        times['predict'] = round(time.perf_counter() - started, 3)
        save_segmentation(sample, result)
        if 'overlay' in self.extras:
            self._draw(case, prepared, sample, result.parent / 'overlays' / f'{case.name}.png')
        times['write'] = round(time.perf_counter() - started - times['predict'], 3)
        header = read_header(case.files[0])
        kept: dict[str, Any] = dict(shape=header.shape, spacing=header.spacing, seconds=times)
        kept.update({name: sample.get(name) for name in ('windows', 'skipped_windows') if name in sample})
        window = intensity_window(self.load_pipeline)
        if window is not None and 'source_range' in sample:
            warning = intensity_problem(sample.source_range, window, self.channels)
            kept.update(dict(warning=warning) if warning else {})
        return kept

    def _draw(self, case: Case, prepared: Mapping[str, Any], sample: Any, picture: Path) -> None:
        if self.visualizer is None:
            self.visualizer = VolumeVisualizer()
            self.visualizer.dataset_meta = self.metainfo
        self.visualizer.add_datasample(case.name, prepared['inputs'], sample, draw_gt=False, out_file=picture)

    def _check_extras(self, extras: Sequence[str]) -> None:
        if unknown := set(extras) - set(get_args(Extra)):
            raise ValueError(f'extras must be some of {get_args(Extra)}, got {sorted(unknown)}')
        if set(extras) - {'overlay'} and not isinstance(self.model.inferer, SegmentsVolumes):
            raise ValueError(
                "probabilities and entropy need model.inferer=dict(type='StreamedWindowInferer', ...), the config has "
                f'{type(self.model.inferer).__name__}'
            )

    def _settings(self, suffix: str | None) -> dict[str, Any]:
        """Options that results depend on."""
        options = asdict(self.model.options)
        counted = {name: value for name, value in options.items() if name not in ('compile', 'max_memory')}
        return dict(format=suffix, **counted)

    def _extra_bytes(self, extras: Sequence[str]) -> float:
        """Bytes a voxel of probabilities and entropy."""
        classes = len(self.metainfo.get('classes') or ()) or 1
        return _MAP_VOXEL * (classes * ('probabilities' in extras) + ('entropy' in extras))

    def _about(self, workers: int) -> dict[str, Any]:
        device = str(next(self.model.parameters()).device)
        classes = list(self.metainfo.get('classes') or ())
        weights = self.source.weights if self.source else None
        files = [weights] if isinstance(weights, (str, Path)) else weights or ()
        options = asdict(self.model.options)
        return dict(
            device=device,
            workers=workers,
            checkpoints=[str(file) for file in files],
            options=options,
            versions=versions(),
            classes=classes,
        )

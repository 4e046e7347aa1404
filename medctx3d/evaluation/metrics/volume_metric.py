"""Scores per case and class, as mmengine's Evaluator calls it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from mmengine.evaluator import BaseMetric

from medctx3d.evaluation.metrics.case_scores import Ids, score_case
from medctx3d.evaluation.metrics.class_names import scored_classes
from medctx3d.evaluation.metrics.conventions import DEFAULT_CONVENTION
from medctx3d.evaluation.metrics.metric_table import DEFAULT_METRICS
from medctx3d.evaluation.metrics.score_rules import ScoreRules, check_rules, state_rules
from medctx3d.evaluation.metrics.summary import summarize
from medctx3d.evaluation.report import print_table, write_results
from medctx3d.registry import METRICS
from medctx3d.utils.geometry import spacing_of, to_source_grid
from medctx3d.utils.nifti import read_labels, write_labels


@METRICS.register_module()
class VolumeMetric(BaseMetric):
    """Scores of whole volumes, printed as a table and written as ``results.json`` and ``per_case.csv``.

    Gives the means over the reported classes as ``dice``, ``hd95``, ..., and each class's as ``dice/liver``, ...
    Regions that the data set's ``metainfo`` names (``regions=dict(tumour=('core', 'rim'))``) are scored beside its
    classes.

    Args:
        grid: ``source`` brings the prediction to the file's own grid and compares it with the label file;
            ``working`` compares on the grid of the network, where ``gt_sem_seg`` lies (quicker, for validation).
        scores: Some of ``dice``, ``iou``, ``sensitivity``, ``precision``, ``volume_difference_ml``, ``hd95``, ``hd``,
            ``asd``, ``assd`` (mm), ``nsd``.
        nsd_tolerance_mm: Distance up to which two surfaces count as the same; one number, or one for every class.
        convention: Key of ``CONVENTIONS``: what a class scores that truth or prediction lack, and how means are
            formed. ``results.json`` states it in full.
        surface: Key of ``SURFACE_RULES``: ``area``, ``border`` or ``border-pooled``.
        means: ``of_classes`` or ``of_cases``; None takes the convention's.
        out_dir: Folder for the two files; None writes none.
        save_predictions: Also write every prediction as NIfTI on its image's grid, to ``out_dir/predictions``.
        show_table: Whether to print the table.
        collect_device: As in mmengine.
        prefix: Put before the names of the metrics, as in mmengine.

    Raises:
        ValueError: An argument is out of its range, or predictions are to be saved without ``out_dir``.
        ImportError: Distances are wanted and ``surface-distance`` is not installed.
    """

    default_prefix = ''

    def __init__(
        self,
        grid: Literal['source', 'working'] = 'source',
        scores: Sequence[str] = DEFAULT_METRICS,
        *,
        nsd_tolerance_mm: float | Mapping[str, float] = 2.0,
        convention: str = DEFAULT_CONVENTION,
        surface: str = 'area',
        means: str | None = None,
        out_dir: str | None = None,
        save_predictions: bool = False,
        show_table: bool = True,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if grid not in ('source', 'working'):
            raise ValueError(f"VolumeMetric: grid must be 'source' or 'working', got {grid!r}")
        if save_predictions and out_dir is None:
            raise ValueError('VolumeMetric: save_predictions=True needs a place, set out_dir')
        self.rules = ScoreRules(tuple(scores), nsd_tolerance_mm, convention, surface, means)
        check_rules(self.rules)
        self.grid = grid
        self.out_dir = out_dir
        self.save_predictions = save_predictions
        self.show_table = show_table

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Score the cases of one batch; only their numbers are kept."""
        for sample in data_samples:
            truth, prediction, affine = self._pair(sample)
            try:
                scores = score_case(
                    truth, prediction, spacing=spacing_of(affine), classes=self._classes(), rules=self.rules
                )
            except ValueError as error:
                raise ValueError(f'case {sample["case"]!r}: {error}') from error
            self.results.append(dict(case=sample['case'], classes=scores))

    def _pair(self, sample: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Truth, prediction and affine on the wanted grid; the prediction is saved on the way if asked."""
        few = len(self._meta('classes') or ()) <= 256
        found = _voxels(sample, 'pred_sem_seg').astype(np.uint8 if few else np.uint16)
        lies = sample['pred_sem_seg'].get('affine', sample['affine'])  # on either grid
        on_source = found
        if self.grid == 'source' or self.save_predictions:
            on_source = to_source_grid(found, lies, sample['source_affine'], sample['source_shape'])
        if self.save_predictions:
            self._save(sample, on_source)
        if self.grid == 'source':
            return self._read_truth(sample), on_source, sample['source_affine']
        truth = _voxels(sample, 'gt_sem_seg')
        return truth, to_source_grid(found, lies, sample['affine'], truth.shape), sample['affine']

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Average over the cases of all ranks, print and write; runs on the first rank."""
        names, regions = list(self._classes()), self._meta('regions') or {}
        reported = self._meta('reported') or [name for name in names if name not in regions]
        rules = dict(state_rules(self.rules), grid=self.grid)
        summary = summarize(results, reported=reported, rules=rules, regions=regions)
        if self.show_table:
            print_table(summary, title=f'{len(results)} cases, {self.grid} grid')
        if self.out_dir is not None:
            write_results(self.out_dir, summary)
        per_class = {
            f'{metric}/{name}': summary['classes'][name][metric] for metric in self.rules.scores for name in names
        }
        return {**summary['mean'], **per_class}

    def _meta(self, key: str) -> Any:
        return (self.dataset_meta or {}).get(key)

    def _classes(self) -> dict[str, Ids]:
        names = self._meta('classes')
        if not names:
            raise ValueError(
                'VolumeMetric needs the class names, background first: set metainfo=dict(classes=(...)) of the data '
                f'set, got {names!r}'
            )
        return scored_classes(names, self._meta('regions'))

    def _read_truth(self, sample: dict) -> np.ndarray:
        path = sample.get('label_path')
        if not path:
            raise ValueError(f'case {sample["case"]!r} has no label file, so it cannot be scored: use tools/infer.py')
        return read_labels(path, self._meta('label_map'))

    def _save(self, sample: dict, labels: np.ndarray) -> None:
        image = sample['image_path']
        path = os.path.join(self.out_dir or '', 'predictions', f'{sample["case"]}.nii.gz')
        write_labels(path, labels, like=image if isinstance(image, str) else image[0])


def _voxels(sample: dict, field: str) -> np.ndarray:
    """Class ids (X, Y, Z) of a field of a sample that was turned into a dict."""
    if field not in sample:
        raise ValueError(
            f'case {sample.get("case")!r} has no {field}; a model answers it in mode "predict", a labelled '
            'data set packs the truth'
        )
    data = sample[field]['data']
    return (data.cpu().numpy() if hasattr(data, 'cpu') else np.asarray(data))[0]

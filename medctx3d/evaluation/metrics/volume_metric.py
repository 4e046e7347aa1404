"""Dice, IoU, HD95, ASD and NSD per case and class, as mmengine's Evaluator calls it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from mmengine.evaluator import BaseMetric

from medctx3d.evaluation.metrics.case_scores import (
    ABSENT_RULES,
    METRIC_NAMES,
    ScoreRules,
    check_rules,
    score_case,
)
from medctx3d.evaluation.metrics.summary import summarize
from medctx3d.evaluation.report import print_table, write_results
from medctx3d.registry import METRICS
from medctx3d.utils.geometry import spacing_of, to_source_grid
from medctx3d.utils.nifti import read_labels, write_labels


@METRICS.register_module()
class VolumeMetric(BaseMetric):
    """Scores of whole volumes, printed as a table and written as ``results.json`` and ``per_case.csv``.

    Gives the means over the reported classes as ``dice``, ``hd95``, ..., and each class's as ``dice/liver``, ...

    Args:
        grid: ``source`` brings the prediction to the file's own grid and compares it with the label file;
            ``working`` compares on the grid of the network, where ``gt_sem_seg`` lies (quicker, for validation).
        scores: Some of ``dice``, ``iou``, ``hd95`` (mm), ``asd`` (mm), ``nsd``.
        nsd_tolerance_mm: Distance up to which two surfaces count as the same.
        absent: Rule for organs that truth or prediction lack, ``missed_is_diagonal`` or ``nan``; ``results.json``
            states it.
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
        scores: Sequence[str] = METRIC_NAMES,
        *,
        nsd_tolerance_mm: float = 2.0,
        absent: Literal['missed_is_diagonal', 'nan'] = 'missed_is_diagonal',
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
        self.rules = ScoreRules(tuple(scores), nsd_tolerance_mm, absent)
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
        found = _voxels(sample, 'pred_sem_seg').astype(np.uint8 if len(self._classes()) < 256 else np.uint16)
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
        names = list(self._classes())
        rules = dict(self.rules._asdict(), absent_text=ABSENT_RULES[self.rules.absent], grid=self.grid)
        summary = summarize(results, reported=self._meta('reported') or names, rules=rules)
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

    def _classes(self) -> dict[str, int]:
        names = self._meta('classes')
        if not names or len(names) < 2:
            raise ValueError(
                'VolumeMetric needs the class names, background first: set metainfo=dict(classes=(...)) of the data '
                f'set, got {names!r}'
            )
        return {name: label for label, name in enumerate(names) if label > 0}

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

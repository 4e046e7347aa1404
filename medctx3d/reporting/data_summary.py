"""The splits of a config in figures: cases, grids and organ volumes, from headers and the prepared store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from medctx3d.datasets import VolumeDataset
from medctx3d.datasets.checks import image_paths
from medctx3d.registry import DATASETS
from medctx3d.reporting.work_dir import WorkDir, newest_config
from medctx3d.utils.geometry import spacing_of
from medctx3d.utils.volume_file import read_header
from medctx3d.utils.volume_header import VolumeHeader

STAGES = {'train': 'training', 'val': 'validation', 'test': 'test'}
_ML = 1000.0  # mm^3


def split_dataset(config: Config, stage: str) -> VolumeDataset:
    """The data set of a stage with its list read, and no file of it.

    Raises:
        FileNotFoundError: The list, or a file in it, is missing.
        ValueError: The list breaks a rule, or it is another data set than :class:`VolumeDataset`.
    """
    dataset = DATASETS.build(dict(config[f'{stage}_dataloader']['dataset'], lazy_init=True))
    if not isinstance(dataset, VolumeDataset):
        raise ValueError(f'{stage}_dataloader.dataset must be a VolumeDataset, it is {type(dataset).__name__}')
    dataset.read_list()
    return dataset


def summarize_splits(
    found: WorkDir, options: dict[str, Any] | None = None
) -> tuple[list[dict[str, Any]], list[str], dict[str, VolumeDataset]]:
    """Figures of every split that a run's configs name.

    Args:
        found: From :func:`~medctx3d.reporting.work_dir.find_work_dir`.
        options: Of ``--cfg-options``.

    Returns:
        One dictionary per split, sentences about what could not be read, and the data sets by stage.
    """
    splits, problems, datasets = [], [], {}
    for stage, title in STAGES.items():
        config = newest_config(found, stage, options)
        if config is None:
            continue
        try:
            datasets[stage] = split_dataset(config, stage)
        except (OSError, ValueError) as error:
            problems.append(f'The {title} split could not be read: {error}')
            continue
        headers, unreadable = _headers(datasets[stage])
        if unreadable:
            problems.append(f'{len(unreadable)} image(s) of the {title} split are left out: {unreadable[0]}')
        if headers:
            splits.append(dict(stage=title, **_figures(datasets[stage], headers)))
    return splits, problems, datasets


def _headers(dataset: VolumeDataset) -> tuple[list[VolumeHeader], list[str]]:
    """Headers of the first channels, and what is wrong with those that cannot be read."""
    headers, unreadable = [], []
    for record in dataset.data_list:
        try:
            headers.append(read_header(image_paths(record)[0]))
        except (OSError, ValueError) as error:
            unreadable.append(str(error))
    return headers, unreadable


def _figures(dataset: VolumeDataset, headers: Sequence[VolumeHeader]) -> dict[str, Any]:
    return dict(
        split=dataset.split,
        cases=len(dataset.data_list),
        labelled=sum(bool(record.get('label')) for record in dataset.data_list),
        shape=_range([header.shape[:3] for header in headers]),
        spacing_mm=_range([header.spacing for header in headers]),
        volumes_ml=_organ_volumes(dataset),
    )


def _range(rows: Sequence[Sequence[float]]) -> dict[str, list[float]]:
    """Smallest, median and largest along each axis."""
    table = np.asarray(rows, dtype=float)
    parts = dict(least=table.min(axis=0), median=np.median(table, axis=0), most=table.max(axis=0))
    return {name: [round(float(value), 3) for value in values] for name, values in parts.items()}


def _organ_volumes(dataset: VolumeDataset) -> dict[str, dict[str, float]]:
    """Smallest, median and largest volume of each class in mL, over the cases that show it; empty without a store."""
    classes = dataset.metainfo.get('classes', ())
    values: dict[str, list[float]] = {}
    for meta in _prepared(dataset):
        voxel = float(np.prod(spacing_of(meta['affine']))) / _ML
        found = meta.get('foreground') or dict(classes=(), counts=())
        for label, count in zip(found['classes'], found['counts'], strict=True):
            values.setdefault(classes[label], []).append(count * voxel)
    return {
        name: dict(least=min(sizes), median=float(np.median(sizes)), most=max(sizes), cases=len(sizes))
        for name in classes
        if (sizes := values.get(name))
    }


def _prepared(dataset: VolumeDataset) -> list[Mapping[str, Any]]:
    """What the store noted of the data set's cases; nothing is prepared for it."""
    if dataset.store is None:
        return []
    wanted = {record['label'] for record in dataset.data_list if record.get('label')}
    classes = list(dataset.metainfo.get('classes', ()))
    metas: dict[str, Mapping[str, Any]] = {}
    for file in sorted(Path(dataset.store.root).glob('*/*/meta.json')):
        meta = json.loads(file.read_text(encoding='utf-8'))
        if meta.get('label_path') in wanted and meta['fingerprint']['preparation']['metainfo']['classes'] == classes:
            metas[meta['label_path']] = meta
    return list(metas.values())

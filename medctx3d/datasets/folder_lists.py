"""Lists of cases from folders: images and labels side by side, and nnU-Net v2 raw data."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medctx3d.datasets.checks import Record, check_cases, check_splits, few
from medctx3d.datasets.datalist import names_by_id, read_json
from medctx3d.utils.volume_file import SUFFIXES, strip_suffix


def paired_records(
    images: str | Path,
    labels: str | Path | None = None,
    *,
    channels: int = 1,
    numbered: bool | None = None,
    source: str = '',
) -> list[Record]:
    """Cases of two parallel folders: an image and its label have the same name, suffix apart.

    Args:
        images: Folder of images.
        labels: Folder of labels, ``CASE``; None for images without truth.
        channels: Files per case; 1 also for volumes that hold all channels.
        numbered: Whether a case's files are called ``CASE_0000``, ``CASE_0001``, ...; None: with several channels.
        source: Who asks, for messages; the image folder if empty.

    Returns:
        Records sorted by case; labels without an image are left alone.

    Raises:
        FileNotFoundError: A folder does not exist, or an image has no label; the message has up to five of them.
        ValueError: No image was found, or a case lacks channel files.
    """
    source = source or str(images)
    numbered = channels > 1 if numbered is None else numbered
    by_case: dict[str, list[str]] = {}
    for name, path in _volumes(images).items():
        by_case.setdefault(re.sub(r'_\d{4}$', '', name) if numbered else name, []).append(path)
    if not by_case:
        raise ValueError(f'{images}: needs at least one image ({", ".join(SUFFIXES)}), it has none. Correct the path.')
    uneven = [f'{case} ({len(files)})' for case, files in by_case.items() if len(files) != channels]
    if uneven:
        raise ValueError(
            f'{source}: every case needs {channels} files, CASE_0000 to CASE_{channels - 1:04d}; '
            f'{few(uneven)} differ. Add the missing files, or correct the number of channels.'
        )
    truth = _volumes(labels) if labels is not None else {}
    bare = [case for case in by_case if case not in truth] if labels is not None else []
    if bare:
        raise FileNotFoundError(
            f'{labels}: every image in {images} needs a label of the same name, {len(bare)} of {len(by_case)} have '
            f'none: {few(bare)}. Add them, or move these images elsewhere.'
        )
    return [
        dict(case=case, image=files[0] if channels == 1 else files, label=truth.get(case))
        for case, files in by_case.items()
    ]


def nnunet_records(folder: str | Path, split: str = 'training') -> list[Record]:
    """Cases of an nnU-Net v2 raw data set.

    ``imagesTr/CASE_0000.nii.gz`` (one file per channel) and ``labelsTr/CASE.nii.gz``; ``imagesTs`` with ``labelsTs``,
    if that is there, are split ``test``. Fold 0 of a ``splits_final.json`` copied into the folder divides ``imagesTr``
    into ``training`` and ``validation``; without that file all of it is ``training``.

    Args:
        folder: ``.../DatasetNNN_Name``, with ``dataset.json``.
        split: ``training``, ``validation`` or ``test``.

    Raises:
        FileNotFoundError: ``dataset.json``, a folder, or a label is missing.
        ValueError: ``dataset.json`` is not of version 2 or asks for what is not supported, files and its
            ``numTraining`` or ``channel_names`` disagree, or the split does not exist.
    """
    folder = Path(folder)
    content = _nnunet_json(folder)
    channels = len(nnunet_metainfo(folder)['channels'])
    source = str(folder / 'dataset.json')
    if split == 'test':
        labels = folder / 'labelsTs'
        records = _channel_records(folder / 'imagesTs', labels if labels.is_dir() else None, channels, source)
        check_cases(records, split, source)
        return records
    records = _channel_records(folder / 'imagesTr', folder / 'labelsTr', channels, source)
    stated = content.get('numTraining')
    if stated is not None and stated != len(records):
        raise ValueError(
            f'{source}: numTraining must be the number of cases in imagesTr, {len(records)}; it is {stated}. '
            f'Correct it, or fetch the missing files.'
        )
    chosen = _fold(folder, records, split)
    check_splits({split: chosen})
    return chosen


def nnunet_splits(folder: str | Path) -> dict[str, list[Record]]:
    """All labelled splits that an nnU-Net v2 raw data set has of its own; raises as :func:`nnunet_records`."""
    folder = Path(folder)
    names = ['training']
    names += ['validation'] if (folder / 'splits_final.json').is_file() else []
    names += ['test'] if (folder / 'imagesTs').is_dir() and (folder / 'labelsTs').is_dir() else []
    return {name: nnunet_records(folder, name) for name in names}


def nnunet_metainfo(folder: str | Path) -> dict[str, tuple[str, ...]]:
    """``classes`` and ``channels`` of an nnU-Net v2 raw data set's ``dataset.json``.

    Raises:
        FileNotFoundError: There is no ``dataset.json``.
        ValueError: It is not of version 2, or has regions or an ignore label, which are not supported.
    """
    content = _nnunet_json(Path(folder))
    source = f'{Path(folder) / "dataset.json"}'
    labels = content['labels']
    regions = [name for name, value in labels.items() if isinstance(value, (list, tuple))]
    if regions:
        raise ValueError(
            f'{source}: labels must be one id per class, {few(regions)} are regions (lists of ids), which overlap and '
            f'are not supported. List the single classes instead.'
        )
    if 'ignore' in labels:
        raise ValueError(
            f'{source}: the label "ignore" (id {labels["ignore"]}) is not supported. Remove it from labels and map '
            f'its id to a class: metainfo=dict(label_map={{{labels["ignore"]}: 0}}).'
        )
    classes = names_by_id({str(value): name for name, value in labels.items()}, f'{source}: labels')
    return dict(classes=classes, channels=names_by_id(content['channel_names'], f'{source}: channel_names'))


def _nnunet_json(folder: Path) -> dict[str, Any]:
    path = folder / 'dataset.json'
    if not path.is_file():
        raise FileNotFoundError(
            f'{path}: no such file, nnU-Net v2 raw data has it beside imagesTr. Full path: {os.path.abspath(path)}. '
            f'Name the folder DatasetNNN_Name.'
        )
    content = read_json(path)
    missing = [key for key in ('channel_names', 'labels', 'file_ending') if key not in content]
    labels = content.get('labels')
    if missing or not isinstance(labels, Mapping) or (labels and all(key.isdigit() for key in labels)):
        why = f'it lacks {", ".join(missing)}' if missing else 'its labels do not map names to ids'
        old = ' (it looks like Decathlon or nnU-Net v1: read it as ann_file of VolumeDataset)' * (
            'modality' in content
        )
        raise ValueError(
            f'{path}: must be of nnU-Net v2, with channel_names, labels {{"background": 0, ...}} and file_ending; '
            f'{why}{old}. Convert it, or correct the file.'
        )
    if content['file_ending'] not in SUFFIXES or 'dataset' in content:
        what = '"dataset" (file lists)' if 'dataset' in content else f'file_ending {content["file_ending"]!r}'
        raise ValueError(
            f'{path}: {what} is not supported; images must be volume files ({", ".join(SUFFIXES)}) in imagesTr. '
            f'Convert them, or make a data list with tools/dataset/make_datalist.py folders.'
        )
    return content


def _channel_records(images: Path, labels: Path | None, channels: int, source: str) -> list[Record]:
    """Records of nnU-Net's naming; a single channel keeps its one path, and its case loses ``_0000``."""
    names = _volumes(images)
    bare = [name for name in names if not re.search(r'_\d{4}$', name)]
    if bare:
        raise ValueError(
            f'{images}: nnU-Net images must be called CASE_0000, CASE_0001, ..., {few(bare)} are not. Rename them.'
        )
    return paired_records(images, labels, channels=channels, source=source, numbered=True)


def _fold(folder: Path, records: list[Record], split: str) -> list[Record]:
    """The part of ``imagesTr`` that belongs to a split."""
    path = folder / 'splits_final.json'
    if not path.is_file():
        if split == 'training':
            return records
        raise ValueError(
            f"{folder}: has no split {split!r}, it has training and test. Copy nnU-Net's splits_final.json here, or "
            f'make a data list: tools/dataset/make_datalist.py nnunet {folder} --validation 0.2.'
        )
    key = {'training': 'train', 'validation': 'val'}.get(split)
    try:
        names = set(json.loads(path.read_text(encoding='utf-8'))[0][key])
    except (ValueError, LookupError, TypeError):
        raise ValueError(
            f'{path}: must be a list of folds, [{{"train": [...], "val": [...]}}], of which split {split!r} reads the '
            f'first ("training" or "validation"). Correct it or the split.'
        ) from None
    unknown = sorted(names - {record['case'] for record in records})
    if unknown:
        raise ValueError(f'{path}: {len(unknown)} cases are not in imagesTr: {few(unknown)}. Correct the file.')
    return [record for record in records if record['case'] in names]


def _volumes(folder: str | Path) -> dict[str, str]:
    """Volume files of a folder, name without suffix to path, sorted; macOS's ``._`` shadows left out."""
    if not os.path.isdir(folder):
        raise FileNotFoundError(f'{folder}: no such folder. Full path: {os.path.abspath(folder)}. Correct the path.')
    found = (path for path in sorted(Path(folder).iterdir()) if path.name.endswith(SUFFIXES) and path.name[:1] != '.')
    return {strip_suffix(path): str(path) for path in found if path.suffix != '.img'}

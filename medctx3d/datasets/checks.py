"""What a data set must satisfy before anything is trained on it: grids, channels, voxels, labels and splits."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medctx3d.utils.geometry import corner_distance
from medctx3d.utils.volume_file import VolumeError, VolumeHeader, read_header

GRID_TOLERANCE = 0.1
"""Farthest that a corner of the label may lie from the image's, as a part of the image's smallest voxel edge."""

WHOLE_TOLERANCE = 1e-3
"""How far a stored label may be from a whole number: room for the rounding of slope and intercept, not for blends."""

Record = dict[str, Any]
"""One case: ``case`` (id), ``image`` (path, or one path per channel), ``label`` (path or None)."""


def image_paths(record: Record) -> list[str]:
    """A record's image files, one or one per channel."""
    image = record['image']
    return [str(image)] if isinstance(image, (str, os.PathLike)) else [str(path) for path in image]


def record_files(record: Record) -> list[str]:
    """All files of a record: images, and the label if there is one."""
    return [*image_paths(record), *([str(record['label'])] if record.get('label') else [])]


def check_headers(record: Record, metainfo: Mapping[str, Any]) -> None:
    """Check that a record's files exist and fit together, from their headers alone (about a millisecond a file).

    Args:
        record: One case.
        metainfo: ``channels``, names of the image's channels (one, ``image``, if missing).

    Raises:
        FileNotFoundError: A file is missing.
        VolumeError: A file is no usable volume, the channel count is not that of ``metainfo``, or two files of the
            case lie on different grids.
    """
    paths = image_paths(record)
    headers = [read_header(path) for path in paths]
    for header in headers[1:]:
        check_same_grid(headers[0], header, 'channel')
    found = sum(header.shape[3] if len(header.shape) == 4 else 1 for header in headers)
    check_channels(found, paths, metainfo)
    if record.get('label'):
        label = read_header(record['label'])
        if len(label.shape) != 3:
            raise VolumeError(
                f'{label.path}: a label must be 3D, one class id a voxel; it has shape {label.shape}. '
                f'Merge one-hot or region channels into class ids.'
            )
        check_same_grid(headers[0], label, 'label')


def check_channels(found: int, paths: Sequence[str], metainfo: Mapping[str, Any]) -> None:
    """Refuse an image with other than the stated number of channels.

    Raises:
        VolumeError: ``found`` is not the number of names in ``metainfo['channels']``.
    """
    channels = tuple(metainfo.get('channels') or ('image',))
    if found == len(channels):
        return
    files = paths[0] if len(paths) == 1 else f'{paths[0]} and {len(paths) - 1} more'
    if found > 1 and len(channels) == 1:
        fix = 'Name all channels in metainfo=dict(channels=(...)), or split a time series into single volumes'
    else:
        fix = 'Correct metainfo=dict(channels=(...)), or the list of image files'
    raise VolumeError(
        f"{files}: the image must have the data set's {len(channels)} channel(s) ({', '.join(channels)}), "
        f'it has {found}. {fix}.'
    )


def check_same_grid(image: VolumeHeader, other: VolumeHeader, role: str) -> None:
    """Refuse two files of a case that do not share voxels: same shape, corners within ``GRID_TOLERANCE``.

    Args:
        image: Header of the image.
        other: Header of its label or of another channel.
        role: What ``other`` is, for the message.

    Raises:
        VolumeError: Shapes differ, or a corner is displaced by more than the tolerance.
    """
    if image.shape[:3] != other.shape[:3]:
        told = (
            f'{other.path}: the {role} must have the shape of its image {image.path}, {image.shape[:3]} voxels; '
            f'it has {other.shape[:3]}'
        )
        if sorted(image.shape[:3]) == sorted(other.shape[:3]):
            raise VolumeError(
                f'{told}: its axes are ordered otherwise. Reorient: nibabel.as_closest_canonical of it and its image '
                'where their affines are true, else transpose its voxels; or correct the pairing.'
            )
        raise VolumeError(f'{told}. Resample it onto the image (nearest neighbour for labels) or correct the pairing.')
    distance = corner_distance(image.affine, other.affine, image.shape)
    allowed = GRID_TOLERANCE * min(image.spacing)
    if distance > allowed:
        raise VolumeError(
            f'{other.path}: the {role} must lie where its image {image.path} lies, within {allowed:.3g} mm '
            f'({GRID_TOLERANCE:g} of the smallest voxel edge); a corner is {distance:.3g} mm off. '
            f"If the voxels do correspond, give it the image's affine: nibabel.Nifti1Image({role}, image.affine); "
            f'otherwise resample it onto the image.'
        )


def check_finite(voxels: np.ndarray, path: str) -> None:
    """Refuse NaN and infinite voxels.

    Raises:
        VolumeError: There are any; the message has their number and the index of the first.
    """
    finite = np.isfinite(voxels)
    if finite.all():
        return
    first = tuple(int(i) for i in np.argwhere(~finite)[0])
    raise VolumeError(
        f'{path}: voxels must be finite, {int((~finite).sum())} are NaN or infinite (or beyond float32), the first at '
        f"index {first}. Replace them by the background's value: numpy.nan_to_num(voxels, nan=...)."
    )


def class_ids(voxels: np.ndarray, path: str, metainfo: Mapping[str, Any]) -> np.ndarray:
    """Turn label voxels into checked class ids.

    Float-typed files are taken when all values are whole numbers, which many tools write; ``label_map`` is applied to
    the stored values, and what it does not name keeps its value.

    Args:
        voxels: (X, Y, Z), as stored.
        path: Their file, for the message.
        metainfo: ``classes``, names by id; ``label_map``, stored value to id (may be missing).

    Returns:
        (X, Y, Z) uint8, or int16 for more than 256 classes.

    Raises:
        VolumeError: Values that are not whole, or not a class id; the message has values and voxel counts.
    """
    classes = metainfo.get('classes')
    if not classes:
        raise VolumeError(f"{path}: a label needs the data set's class names. Set metainfo=dict(classes=(...)).")
    if voxels.dtype.kind == 'f':
        check_finite(voxels, path)
        whole = np.rint(voxels)
        blended = np.abs(voxels - whole) > WHOLE_TOLERANCE
        if blended.any():
            raise VolumeError(
                f'{path}: labels must be whole numbers, {int(blended.sum())} voxels hold others: '
                f'{_counted(voxels[blended])}. Resample labels with nearest neighbour, or threshold probabilities.'
            )
        voxels = whole
    ids = voxels
    for stored, wanted in (metainfo.get('label_map') or {}).items():
        ids = np.where(voxels == int(stored), np.int16(wanted), ids)  # int16 holds ids that the stored type may not
    if ids.min() < 0 or ids.max() >= len(classes):
        wrong = ids[(ids < 0) | (ids >= len(classes))]
        raise VolumeError(
            f'{path}: label values must be class ids 0 to {len(classes) - 1} ({", ".join(classes)}), also found: '
            f'{_counted(wrong)}. Add the classes to metainfo, or map the values: metainfo=dict(label_map={{...}}).'
        )
    return ids.astype(np.uint8 if len(classes) <= 256 else np.int16, order='K')


def check_splits(splits: Mapping[str, Sequence[Record]], *, source: str = '') -> None:
    """Refuse empty splits and cases that are in more than one.

    Two records are the same case when they share the id, the ``subject`` (where records have one), or a file, links
    resolved.

    Args:
        splits: Cases by split.
        source: File that they come from, for the message.

    Raises:
        ValueError: A split is empty, or two overlap; the message has up to five of the cases.
    """
    where = f'{source}: ' if source else ''
    owner: dict[tuple[str, str], tuple[str, str]] = {}
    shared: dict[tuple[str, str, str], list[str]] = {}
    for split, records in splits.items():
        if not records:
            raise ValueError(
                f'{where}split {split!r} is empty, it needs at least one case. List cases under {split!r} in the data '
                f'list, or name another with split=.'
            )
        for record in records:
            for key in identities(record):
                first, case = owner.setdefault(key, (split, str(record['case'])))
                if first != split:
                    names = case if case == record['case'] else f'{case} and {record["case"]} (same {key[0]} {key[1]})'
                    shared.setdefault((first, split, key[0]), []).append(names)
    for (first, second, what), cases in shared.items():
        raise ValueError(
            f'{where}splits {first!r} and {second!r} must not share a {what}, {len(cases)} are in both: {few(cases)}. '
            f'Remove them from one, or make the list again with tools/dataset/make_datalist.py.'
        )


def check_cases(records: Sequence[Record], split: str, source: str, *, labelled: bool = True) -> None:
    """Refuse a split that lists a case twice, or cases without truth where truth is needed.

    Args:
        records: The cases of one split.
        split: Its name; ``test...``, ``predict...`` and ``unlabelled...`` need no labels, every other split does.
        source: File or folder the records come from, for the message.
        labelled: False: no split needs labels.

    Raises:
        ValueError: A duplicate, or a missing label.
    """
    seen: dict[tuple[str, str], str] = {}
    for record in records:
        for kind, value in identities(record):
            if kind != 'subject' and (kind, value) in seen:
                raise ValueError(
                    f'{source}: split {split!r} must list a case once, {kind} {value} is in it twice '
                    f'({seen[kind, value]} and {image_paths(record)[0]}). Remove one, or, for different cases whose '
                    f'files have the same name, give each record its own "case".'
                )
            seen[kind, value] = image_paths(record)[0]
    bare = [str(record['case']) for record in records if not record.get('label')]
    if labelled and bare and not split.startswith(('test', 'predict', 'unlabelled')):
        raise ValueError(
            f'{source}: every case of split {split!r} needs a label, {len(bare)} have none: {few(bare)}. '
            f'Add "label", or move them to "test" or, for training without labels, to "unlabelled".'
        )


def few(names: Sequence[str]) -> str:
    """The first five names, and how many more there are."""
    return ', '.join(names[:5]) + (f' and {len(names) - 5} more' if len(names) > 5 else '')


def identities(record: Record) -> list[tuple[str, str]]:
    """What two records of one case share: id, ``subject`` where there is one, and files, links resolved."""
    keys = [('case', str(record['case']))]
    keys += [('subject', str(record['subject']))] if record.get('subject') else []
    return keys + [('file', os.path.realpath(path)) for path in image_paths(record)]


def _counted(values: np.ndarray) -> str:
    found, counts = np.unique(values, return_counts=True)
    shown = ', '.join(f'{value:g} ({count} voxels)' for value, count in zip(found[:8], counts[:8], strict=True))
    return shown + (f', and {len(found) - 8} more values' if len(found) > 8 else '')

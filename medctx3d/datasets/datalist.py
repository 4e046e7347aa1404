"""Lists of cases in MSD/Decathlon JSON, read and written."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

from medctx3d.datasets.checks import Record, check_cases, check_splits, image_paths
from medctx3d.utils.atomic import atomic_path
from medctx3d.utils.data_folders import require_inside
from medctx3d.utils.volume_file import strip_suffix


def decathlon_records(
    ann_file: str | Path,
    data_root: str | Path = '',
    split: str = 'training',
    *,
    labelled: bool = True,
    checked: bool = True,
) -> list[Record]:
    """Cases of one split of an MSD/Decathlon JSON.

    An entry is ``{"image": ..., "label": ...}``, ``image`` a path or a list of paths, one per channel; ``case`` (id,
    the file name without suffix if missing) and ``subject`` (whose images must stay in one split) may be added. An
    entry of ``test`` or ``unlabelled`` may be a bare path. Files lie below ``data_root``, links followed,
    or in a folder that the user opened (:func:`~medctx3d.utils.data_folders.require_inside`).

    Args:
        ann_file: The JSON file; relative to ``data_root`` if it does not exist as it is.
        data_root: Folder that paths in the file are relative to; the file's own folder if empty.
        split: ``training``, ``validation``, ``test`` or any other key that holds a list.
        labelled: False: records come without labels, and need none.
        checked: Without, only what keeps the list from being read is an error, for a reader that looks for the rest
            by itself.

    Raises:
        FileNotFoundError: The JSON, or a file that it lists, does not exist; the message has the full path.
        ValueError: The JSON is not valid, the split is missing, empty or has a case twice, an entry lacks a key or
            leads out of ``data_root``, or a case of this split is also in another.
    """
    ann_file = _find_list(ann_file, data_root)
    records = decathlon_splits(ann_file, data_root)
    if split not in records:
        raise ValueError(_no_split(ann_file, split, records, read_json(ann_file)))
    if not labelled:
        records[split] = [dict(record, label=None) for record in records[split]]
    if not checked:
        return records[split]
    base = Path(data_root) if data_root else ann_file.parent
    check_splits({split: records[split]}, source=str(ann_file))
    check_cases(records[split], split, str(ann_file), labelled=labelled)
    _require_files(records[split], f'listed in {ann_file} and taken relative to {base}')
    for other in records.keys() - {split}:
        if records[other]:
            check_splits({split: records[split], other: records[other]}, source=str(ann_file))
    return records[split]


def decathlon_splits(ann_file: str | Path, data_root: str | Path = '') -> dict[str, list[Record]]:
    """All splits of an MSD/Decathlon JSON, as far as it can be read; nothing is checked.

    Raises:
        FileNotFoundError: The JSON does not exist.
        ValueError: It is not valid, or an entry lacks a key.
    """
    ann_file = _find_list(ann_file, data_root)
    base = Path(data_root) if data_root else ann_file.parent
    return {
        name: [_record(entry, base, f'{ann_file}: {name}[{i}]') for i, entry in enumerate(entries)]
        for name, entries in read_json(ann_file).items()
        if isinstance(entries, list) and _is_split(entries)
    }


def decathlon_metainfo(ann_file: str | Path, data_root: str | Path = '') -> dict[str, tuple[str, ...]]:
    """``classes`` from a Decathlon JSON's ``labels`` and ``channels`` from its ``modality``, as far as it has them.

    Raises:
        ValueError: ``labels`` is not a mapping from ids 0, 1, 2, ... to names.
    """
    ann_file = _find_list(ann_file, data_root)
    content = read_json(ann_file)
    found = {}
    for key, name in (('labels', 'classes'), ('modality', 'channels')):
        if isinstance(content.get(key), Mapping):
            found[name] = names_by_id(content[key], f'{ann_file}: {key}')
    return found


def write_datalist(
    path: str | Path,
    splits: Mapping[str, Sequence[Record]],
    *,
    classes: Sequence[str],
    channels: Sequence[str] = ('image',),
    name: str = '',
    description: str = '',
) -> None:
    """Write a Decathlon JSON, whole or not at all; paths relative to its folder, with forward slashes.

    Args:
        path: The file to write; an existing one is replaced.
        splits: Split name to records; every split needs a case.
        classes: Class names, index = label id.
        channels: Image channel names.
        name: Of the data set.
        description: What the split is and where it comes from.

    Raises:
        ValueError: Splits are empty or overlap (:func:`~medctx3d.datasets.checks.check_splits`).
        OSError: Writing failed; a file that was there is as before.
    """
    path = Path(path)
    check_splits(splits, source=str(path))
    for split, records in splits.items():
        check_cases(records, split, str(path))
    content: dict[str, Any] = dict(name=name, description=description, tensorImageSize='3D')
    content['modality'] = {str(i): channel for i, channel in enumerate(channels)}
    content['labels'] = {str(i): label for i, label in enumerate(classes)}
    for split, records in splits.items():
        content[f'num{split.capitalize()}'] = len(records)
        content[split] = [_relative(record, path.parent) for record in records]
    with atomic_path(path) as draft:
        draft.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ValueError: Not JSON, or not an object; the message names file and place.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:  # also what is not UTF-8
        raise ValueError(f'{path}: must be valid JSON: {error}. Correct it there, or make the list again.') from None
    if not isinstance(content, dict):
        raise ValueError(
            f'{path}: must be a JSON object with split names as keys, it is a {type(content).__name__}. '
            f'Put the list under "training".'
        )
    return content


def names_by_id(names: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """Names in the order of their ids, from ``{"0": name, "1": name}``.

    Raises:
        ValueError: Keys are not the ids 0, 1, 2, ...; ``where`` begins the message.
    """
    try:
        by_id = {int(key): str(value) for key, value in names.items()}
    except ValueError:
        raise ValueError(f'{where}: must map ids to names, {{"0": ..., "1": ...}}, it is {dict(names)}.') from None
    if sorted(by_id) != list(range(len(by_id))):
        raise ValueError(
            f'{where}: ids must be 0, 1, 2, ... without a gap, they are {sorted(by_id)}. '
            f'Number them so, with metainfo=dict(label_map=...) for the stored values.'
        )
    return tuple(by_id[i] for i in range(len(by_id)))


def _relative(record: Record, folder: Path) -> dict[str, Any]:
    def relative(path: str) -> str:
        return Path(os.path.relpath(path, folder)).as_posix()

    files = [relative(path) for path in image_paths(record)]
    entry: dict[str, Any] = dict(case=record['case'], image=files if isinstance(record['image'], list) else files[0])
    if record.get('label'):
        entry['label'] = relative(record['label'])
    if record.get('subject'):
        entry['subject'] = record['subject']
    return entry


def _find_list(ann_file: str | Path, data_root: str | Path) -> Path:
    if not str(ann_file):
        raise ValueError('ann_file must name a Decathlon JSON, it is empty. Make one: tools/dataset/make_datalist.py.')
    tried = [Path(ann_file), Path(data_root) / ann_file]
    for path in tried:
        if path.is_file():
            return path
    places = ' and '.join(dict.fromkeys(os.path.abspath(path) for path in tried))
    raise FileNotFoundError(
        f'{ann_file}: no such data list, looked for {places}. '
        f'Correct ann_file or data_root, or make the list with tools/dataset/make_datalist.py.'
    )


def _is_split(entries: list) -> bool:
    return all(isinstance(entry, (str, dict)) for entry in entries)


def _no_split(ann_file: Path, split: str, splits: Mapping[str, list], content: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(split, list(content), n=1, cutoff=0.4)
    hint = f' Did you mean {close[0]!r}?' if close else ''
    have = ', '.join(f'{name} ({len(entries)})' for name, entries in splits.items()) or 'no list of cases'
    return f'{ann_file}: has no split {split!r}, it has {have}.{hint} Set split=..., or add the list to the file.'


def _record(entry: str | dict, base: Path, where: str) -> Record:
    """One entry of a Decathlon JSON as a record."""
    if isinstance(entry, str):
        entry = dict(image=entry)
    if 'image' not in entry:
        close = difflib.get_close_matches('image', list(entry), n=1, cutoff=0.5)
        hint = f' Rename {close[0]!r} to "image".' if close else ' Add it.'
        raise ValueError(f'{where}: an entry needs the key "image", it has {sorted(entry)}.{hint}')
    wrong = [
        key for key in entry if key not in ('image', 'label') and difflib.get_close_matches(key, ['label'], cutoff=0.7)
    ]
    if 'label' not in entry and wrong:
        raise ValueError(f'{where}: {wrong[0]!r} is no key of an entry. Rename it to "label".')
    image = entry['image']
    several = isinstance(image, list)
    files = [_file(path, base, f'{where}["image"]') for path in (image if several else [image])]
    case = entry.get('case') or strip_suffix(files[0])
    if several and 'case' not in entry:
        case = re.sub(r'_\d{4}$', '', case)
    case = str(case)
    if case != PureWindowsPath(case).name or case in ('.', '..'):  # results are called so; it knows both separators
        raise ValueError(f'{where}["case"]: must be a name without folders, it is {case!r}. Rename the case.')
    label = entry.get('label')
    record: Record = dict(case=case, image=files if several else files[0])
    record['label'] = _file(label, base, f'{where}["label"]') if label else None
    if entry.get('subject'):
        record['subject'] = str(entry['subject'])
    return record


def _file(path: Any, base: Path, where: str) -> str:
    if not isinstance(path, str):
        raise ValueError(f'{where}: must be a path, it is {path!r}. Correct the list.')
    joined = os.path.normpath(base / path)
    require_inside(joined, base, where)
    return joined


def _require_files(records: Iterable[Record], why: str) -> None:
    missing = [
        path
        for record in records
        for path in [*image_paths(record), record['label']]
        if path and not os.path.exists(path)  # a folder is a DICOM series
    ]
    if missing:
        raise FileNotFoundError(
            f'{os.path.abspath(missing[0])}: no such file ({why}; {len(missing)} missing in all). '
            f'Correct data_root or the list, or fetch the files.'
        )

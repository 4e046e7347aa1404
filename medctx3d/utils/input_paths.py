"""From what stands on a command line to volumes: files, patterns, folders, lists."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from medctx3d.utils.data_folders import require_inside
from medctx3d.utils.dicom_series import is_dicom_folder
from medctx3d.utils.volume_header import SUFFIXES, strip_suffix

LIST_SUFFIXES = ('.txt', '.json')


class Listed(NamedTuple):
    """One entry of the inputs.

    Attributes:
        name: Of its case, file name without suffix unless a list says otherwise.
        image: A volume file or DICOM folder; or several, one per channel, where a list says so.
    """

    name: str
    image: str | list[str]


def expand_input(given: str | os.PathLike[str], split: str) -> Iterator[Listed]:
    """Volumes that one input stands for.

    - a volume file, or a folder with the slices of one DICOM series: itself;
    - another folder: the volume files in it, and those of its folders that hold DICOM slices;
    - a pattern with ``*``, ``?`` or ``[...]`` (``**`` for any depth): what it matches;
    - ``.txt``: one of these per line; blank lines and lines that begin with ``#`` are passed over;
    - ``.json``: a list of paths, of lists of paths (one per channel) or of objects with ``image`` and maybe ``case``;
      or a data list in Decathlon form, of which ``split`` is taken, labels unread.

    Paths in a list are relative to its folder.

    Args:
        given: The input.
        split: Of a data list.

    Raises:
        FileNotFoundError: There is no such file, nothing matches, or a folder holds no volume.
        ValueError: A list is not readable as one.
    """
    path = Path(given)
    if path.is_dir():
        yield from _of_folder(path)
    elif path.exists():
        if path.name.endswith('.txt'):
            yield from _of_text(path, split)
        elif path.name.endswith('.json'):
            yield from _of_json(path, split)
        else:
            yield _single(path)
    elif glob.has_magic(str(given)):
        matches = sorted(glob.glob(str(given), recursive=True))
        if not matches:
            below = '' if path.is_absolute() else f' in {Path.cwd()}'
            raise FileNotFoundError(f'the pattern {given} matches no file{below}. Correct it')
        for match in matches:
            yield from expand_input(match, split)
    else:
        raise FileNotFoundError(
            f'the input {given} does not exist. Give volume files ({", ".join(SUFFIXES)}), folders of them, DICOM '
            'folders, quoted patterns, or lists (.txt, .json)'
        )


def _of_folder(folder: Path) -> Iterator[Listed]:
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith('.'))
    files = [
        entry for entry in entries if entry.is_file() and entry.name.endswith(SUFFIXES) and entry.suffix != '.img'
    ]
    series = [entry for entry in entries if entry.is_dir() and is_dicom_folder(entry)]
    if files or series:
        yield from (_single(entry) for entry in sorted([*files, *series]))
    elif is_dicom_folder(folder):
        yield _single(folder)
    else:
        raise FileNotFoundError(
            f'the folder {folder} holds no volume: looked for {", ".join("*" + suffix for suffix in SUFFIXES)}, DICOM '
            'slices, and folders with DICOM slices'
        )


def _of_text(path: Path, split: str) -> Iterator[Listed]:
    lines = [line.strip() for line in path.read_text(encoding='utf-8').splitlines()]
    named = [line for line in lines if line and not line.startswith('#')]
    if not named:
        raise ValueError(f'{path}: a list must name a volume in every line, it names none')
    for line in named:
        yield from expand_input(path.parent / line, split)


def _of_json(path: Path, split: str) -> Iterator[Listed]:
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:  # also what is not UTF-8
        raise ValueError(f'{path}: must be valid JSON: {error}. Correct it there.') from None
    if isinstance(content, dict):
        splits = {key: len(value) for key, value in content.items() if isinstance(value, list) and value}
        if split not in splits:
            have = ', '.join(f'{name} ({count})' for name, count in splits.items()) or 'no list of cases'
            raise ValueError(f'{path}: has no split {split!r}, it has {have}. Choose one of them with --split')
        content = content[split]
    if not isinstance(content, list) or not content:
        raise ValueError(f'{path}: must be a list of images, or a data list with splits; it is {str(content)[:60]!r}')
    for position, entry in enumerate(content):
        yield _of_entry(entry, path, position)


def _of_entry(entry: object, path: Path, position: int) -> Listed:
    image = entry.get('image') if isinstance(entry, dict) else entry
    files = [image] if isinstance(image, str) else image
    if not isinstance(files, list) or not files or not all(isinstance(file, str) for file in files):
        raise ValueError(
            f'{path}: entry {position} must be a path, a list of paths or an object with "image", it is {entry!r}'
        )
    paths = [os.path.normpath(path.parent / file) for file in files]
    for found in paths:
        require_inside(found, path.parent, f'{path}: entry {position}')
        if not os.path.exists(found):
            raise FileNotFoundError(f'{path}: entry {position} names {found}, which does not exist. Correct the list')
    name = entry.get('case') if isinstance(entry, dict) else None
    if name is None and len(paths) > 1:
        name = strip_suffix(paths[0]).removesuffix('_0000')
    return Listed(str(name or volume_name(paths[0])), paths if len(paths) > 1 else paths[0])


def _single(path: Path) -> Listed:
    return Listed(volume_name(path), str(path))


def volume_name(path: str | os.PathLike[str]) -> str:
    """Name of a volume: a file's without suffix, a folder's whole (a dot in it is no suffix)."""
    return Path(path).resolve().name if os.path.isdir(path) else strip_suffix(path)

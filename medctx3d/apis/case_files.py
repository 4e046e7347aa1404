"""From files and folders on a command line to cases, and the folder that results go to."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from medctx3d.utils.atomic import require_writable
from medctx3d.utils.volume_file import strip_suffix

_ENDINGS = ('.nii', '.nii.gz')
_CHANNEL = re.compile(r'(.+)_(\d{4})')  # nnU-Net: <case>_0000.nii.gz, <case>_0001.nii.gz, ...


class Case(NamedTuple):
    """A volume to segment.

    Attributes:
        name: Names the result, ``<name>.nii.gz``.
        image: A file, or one file per channel.
    """

    name: str
    image: str | list[str]

    @property
    def files(self) -> list[str]:
        """All files of the case."""
        return [self.image] if isinstance(self.image, str) else self.image


def find_cases(inputs: Iterable[str | os.PathLike[str]], channels: int = 1) -> list[Case]:
    """Cases in files and folders.

    Args:
        inputs: NIfTI files, and folders whose ``.nii`` and ``.nii.gz`` files are taken (not those of their folders).
        channels: Channels of the model. With more than one, files ``<case>_0000``, ``<case>_0001``, ... are one case;
            any other file is taken to hold all channels in its last axis.

    Returns:
        Cases sorted by name.

    Raises:
        FileNotFoundError: An input is missing, or a folder holds no volume.
        ValueError: A case lacks a channel, or two cases have one name.
    """
    files = [file for given in inputs for file in _volumes(Path(given))]
    cases = [Case(strip_suffix(file), str(file)) for file in files] if channels == 1 else _grouped(files, channels)
    by_name: dict[str, Case] = {}
    for case in cases:
        other = by_name.setdefault(case.name, case)
        if other.files != case.files:
            raise ValueError(
                f'two cases would both be written as {case.name}.nii.gz: {other.files[0]} and {case.files[0]}; rename '
                'one, or run them into different folders'
            )
    return [by_name[name] for name in sorted(by_name)]


def check_out_dir(out_dir: str | os.PathLike[str], cases: Sequence[Case]) -> Path:
    """Make the folder for results and see that files can be written to it.

    Raises:
        ValueError: It is a folder that inputs lie in, where a result would replace its image.
        OSError: It cannot be made or written to.
    """
    out = Path(out_dir)
    for case in cases:
        for file in case.files:
            if Path(file).resolve().parent == out.resolve():
                raise ValueError(
                    f'the output folder {out} holds the input {file}, which a result could replace: '
                    'choose another folder'
                )
    return require_writable(out, 'the output folder')


def _volumes(given: Path) -> list[Path]:
    if given.is_dir():
        found = sorted(f for f in given.iterdir() if f.name.endswith(_ENDINGS) and not f.name.startswith('.'))
        if not found:
            raise FileNotFoundError(f'the folder {given} holds no volume: looked for *.nii and *.nii.gz')
        return found
    if not given.exists():
        raise FileNotFoundError(f'the input {given} does not exist: give NIfTI files or folders of them')
    return [given]


def _grouped(files: Iterable[Path], channels: int) -> list[Case]:
    """Cases of a model with several channels."""
    cases, groups = [], defaultdict[tuple[Path, str], dict[int, str]](dict)
    for file in files:
        match = _CHANNEL.fullmatch(strip_suffix(file))
        if match is None:
            cases.append(Case(strip_suffix(file), str(file)))
        else:
            groups[file.parent, match[1]][int(match[2])] = str(file)
    for (folder, name), found in groups.items():
        if sorted(found) != list(range(channels)):
            have = ', '.join(f'_{channel:04d}' for channel in sorted(found))
            raise ValueError(
                f'case {folder / name}: the model has {channels} channels, so _0000 to _{channels - 1:04d} are '
                f'needed, got {have}'
            )
        cases.append(Case(name, [found[channel] for channel in range(channels)]))
    return cases

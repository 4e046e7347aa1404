"""From files and folders on a command line to cases, and the folder that results go to."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from medctx3d.utils.atomic import require_writable
from medctx3d.utils.grid_file import WRITTEN_SUFFIXES, result_suffix
from medctx3d.utils.input_paths import Listed, expand_input

_CHANNEL = re.compile(r'(.+)_(\d{4})')  # nnU-Net: <case>_0000.nii.gz, <case>_0001.nii.gz, ...


class Case(NamedTuple):
    """A volume to segment.

    Attributes:
        name: Names the result.
        image: A file or DICOM folder, or one per channel.
    """

    name: str
    image: str | list[str]

    @property
    def files(self) -> list[str]:
        """All files of the case."""
        return [self.image] if isinstance(self.image, str) else self.image

    def result_name(self, suffix: str | None = None) -> str:
        """File name of the result: the image's own format, ``.nii.gz`` for DICOM, unless another is wanted."""
        return self.name + (suffix or result_suffix(self.files[0]))


def find_cases(inputs: Iterable[str | os.PathLike[str]], channels: int = 1, *, split: str = 'test') -> list[Case]:
    """Cases in files and folders.

    Args:
        inputs: Volume files, DICOM folders, folders of either, patterns, and lists; see
            :func:`~medctx3d.utils.input_paths.expand_input`.
        channels: Channels of the model. With more than one, files ``<case>_0000``, ``<case>_0001``, ... are one case;
            any other file is taken to hold all channels in its last axis.
        split: Which cases of a data list.

    Returns:
        Cases sorted by name.

    Raises:
        FileNotFoundError: An input is missing, or a folder holds no volume.
        ValueError: A list is damaged, a case lacks a channel, or two cases have one name.
    """
    found = [listed for given in inputs for listed in expand_input(given, split)]
    cases = [Case(*listed) for listed in found] if channels == 1 else _grouped(found, channels)
    by_name: dict[str, Case] = {}
    for case in cases:
        if case.name != os.path.basename(case.name) or case.name in ('', '.', '..'):
            raise ValueError(f'the case name {case.name!r} must be a file name, since its result is called so')
        other = by_name.setdefault(case.name, case)
        if [os.path.realpath(file) for file in other.files] != [os.path.realpath(file) for file in case.files]:
            raise ValueError(
                f'two cases would both be written as {case.name}: {other.files[0]} and {case.files[0]}; rename '
                'one, run them into different folders, or give each a "case" in a .json list'
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
            if out.resolve() in (Path(file).resolve().parent, Path(file).resolve()):
                raise ValueError(
                    f'the output folder {out} holds the input {file}, which a result could replace: '
                    'choose another folder'
                )
    return require_writable(out, 'the output folder')


def check_suffix(suffix: str | None) -> None:
    """Refuse a format that results cannot be written in.

    Raises:
        ValueError: It is none of ``WRITTEN_SUFFIXES``.
    """
    if suffix is not None and suffix not in WRITTEN_SUFFIXES:
        raise ValueError(f'--format must be one of {", ".join(WRITTEN_SUFFIXES)}, got {suffix!r}')


def _grouped(found: Iterable[Listed], channels: int) -> list[Case]:
    """Cases of a model with several channels."""
    cases, groups = [], defaultdict[tuple[Path, str], dict[int, str]](dict)
    for listed in found:
        match = _CHANNEL.fullmatch(listed.name)
        if match is None or not isinstance(listed.image, str):
            cases.append(Case(*listed))
        else:
            groups[Path(listed.image).parent, match[1]][int(match[2])] = listed.image
    for (folder, name), files in groups.items():
        if sorted(files) != list(range(channels)):
            have = ', '.join(f'_{channel:04d}' for channel in sorted(files))
            raise ValueError(
                f'case {folder / name}: the model has {channels} channels, so _0000 to _{channels - 1:04d} are '
                f'needed, got {have}'
            )
        cases.append(Case(name, [files[channel] for channel in range(channels)]))
    return cases

"""Where the files that a data list names may lie."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

VARIABLE = 'MEDCTX3D_DATA_FOLDERS'


def require_inside(file: str, root: str | os.PathLike[str], where: str) -> None:
    """Refuse a file of a data list that lies elsewhere than the list may lead.

    A list may come from a stranger, so it leads below its data root only, links followed. Further folders are opened
    by the user's own hand: the environment variable ``MEDCTX3D_DATA_FOLDERS`` holds their absolute paths, separated
    as in ``PATH``. No list and no config can set it.

    Args:
        file: The path, the data root joined.
        root: The data root, or the list's own folder.
        where: List, entry and key, for the message.

    Raises:
        ValueError: The file lies outside of all of them.
    """
    target = Path(os.path.realpath(file))
    opened = [folder for folder in os.environ.get(VARIABLE, '').split(os.pathsep) if folder]
    if any(target.is_relative_to(os.path.realpath(folder)) for folder in (root, *opened)):
        return
    link = '' if target == Path(os.path.abspath(file)) else f', a link to {target}'
    raise ValueError(
        f'{where}: must name a file below {os.path.abspath(root)}, it names {file}{link}. If you made the list and '
        f'want it to lead there: export {VARIABLE}={target.parent}; else leave the list alone'
    )


def folder_outside(files: Iterable[str], root: str | os.PathLike[str]) -> str:
    """The folder that holds all files that do not lie below ``root``, links followed; empty where all do."""
    targets = [Path(os.path.realpath(file)) for file in files]
    outside = [target.parent for target in targets if not target.is_relative_to(os.path.realpath(root))]
    return os.path.commonpath(outside) if outside else ''

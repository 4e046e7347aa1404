"""What a work dir holds of the things a report is made from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from medctx3d.engine.launch import load_config


class WorkDir(NamedTuple):
    """The parts of a work dir.

    Attributes:
        root: The folder itself.
        results: Folder of ``results.json`` and ``predictions/``; None without a test.
        trainings: Folders ``<time>`` of trainings, oldest first; a resumed run has several.
        configs: Complete configs that runs left, oldest first.
        safe: Whether these are read as data because the folder is not trusted.
    """

    root: Path
    results: Path | None
    trainings: tuple[Path, ...]
    configs: tuple[Path, ...]
    safe: bool = False


def find_work_dir(
    path: str | os.PathLike[str], results: str | os.PathLike[str] | None = None, *, safe: bool = False
) -> WorkDir:
    """Look through a work dir.

    Args:
        path: As given to ``tools/train.py --work-dir``.
        results: As given to ``tools/test.py --out``; default: ``path``.
        safe: The folder comes from elsewhere and is not trusted.

    Raises:
        FileNotFoundError: The folder does not exist, or ``results`` has no ``results.json``.
        ValueError: The folder holds neither a training's scalars nor results.
    """
    root, folder = Path(path), Path(results) if results is not None else Path(path)
    if not root.is_dir():
        raise FileNotFoundError(f'{root}: no such folder. Give the --work-dir of tools/train.py or tools/test.py.')
    tested = (folder / 'results.json').is_file()
    if results is not None and not tested:
        raise FileNotFoundError(f'{folder}: has no results.json. Give the --out of tools/test.py.')
    trainings = tuple(file.parent.parent for file in sorted(root.glob('*/vis_data/scalars.json')))
    if not trainings and not tested:
        inside = sorted(file.parent.relative_to(root).as_posix() for file in root.glob('**/results.json'))[:3]
        hint = f' Below it lie {", ".join(inside)}: give one of them, or --results.' if inside else ''
        raise ValueError(
            f'{root}: must be a work dir; looked for <time>/vis_data/scalars.json (of tools/train.py) and '
            f'results.json (of tools/test.py), found neither.{hint}'
        )
    configs = tuple(sorted(root.glob('*/vis_data/config.py'))) or tuple(sorted(root.glob('*.py')))
    return WorkDir(root, folder if tested else None, trainings, configs, safe)


def newest_config(found: WorkDir, stage: str, options: dict[str, Any] | None = None) -> Config | None:
    """The newest config that has a data set for a stage; None if there is none.

    Args:
        found: From :func:`find_work_dir`.
        stage: ``train``, ``val`` or ``test``.
        options: Of ``--cfg-options``.

    Raises:
        ConfigError: A config cannot be read, or an option leads nowhere.
    """
    own = dict(work_dir=str(found.root)) if found.safe else {}  # named by the user, wherever the run was
    for file in reversed(found.configs):
        config = load_config(file, own, safe=found.safe)
        if config.get(f'{stage}_dataloader'):
            return load_config(file, {**own, **options}, safe=found.safe) if options else config
    return None


def read_results(found: WorkDir) -> dict[str, Any] | None:
    """Content of ``results.json``; None without a test.

    Raises:
        ValueError: It is no JSON, or none that ``tools/test.py`` wrote.
    """
    if found.results is None:
        return None
    file = found.results / 'results.json'
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{file}: must be valid JSON: {error}. Test again with tools/test.py.') from None
    needed = {'mean', 'classes', 'cases', 'rules'}
    if not isinstance(content, dict) or not needed <= content.keys():
        raise ValueError(f'{file}: must have the keys {sorted(needed)} of tools/test.py. Test again.')
    return content

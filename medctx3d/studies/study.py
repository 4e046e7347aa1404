"""The folder of a study: what it compares, and that every invocation on it means the same."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from medctx3d.datasets.checks import few
from medctx3d.studies.arms import Arm
from medctx3d.studies.job import Job, write_json
from medctx3d.studies.subsets import few_shot_subset, folds, inner_split
from medctx3d.utils.atomic import atomic_path, require_writable

SELECTIONS = ('last', 'inner')


def few_shot_jobs(
    arms: Sequence[Arm], *, shots: Sequence[int], seeds: int, select: str, threads: int, keep_checkpoints: bool
) -> list[Job]:
    """Every arm on every subset, seed by seed, so that what is finished first can be compared first.

    Raises:
        ValueError: More shots than volumes, no seed, or a subset too small for ``select='inner'``.
    """
    if seeds < 1:
        raise ValueError(f'--seeds must be at least 1, got {seeds}')
    jobs = []
    for seed in range(seeds):
        for count in shots:
            subset = few_shot_subset(arms[0].train, count, seed)
            train, inner = inner_split(subset) if select == 'inner' else (subset, [])
            jobs += [
                Job(arm.name, f'shots-{count}', seed, _ids(train), _ids(inner), (), threads, keep_checkpoints)
                for arm in arms
            ]
    return jobs


def fold_jobs(
    arms: Sequence[Arm], *, count: int, seeds: int, select: str, threads: int, keep_checkpoints: bool
) -> list[Job]:
    """Every arm on every fold of the training split, divided anew by each seed.

    Raises:
        ValueError: Fewer subjects than folds, no seed, or folds too small for ``select='inner'``.
    """
    if seeds < 1:
        raise ValueError(f'--seeds must be at least 1, got {seeds}')
    jobs = []
    for seed in range(seeds):
        parts = folds(arms[0].train, count, seed)
        for number, held in enumerate(parts):
            rest = [record for other, part in enumerate(parts) if other != number for record in part]
            train, inner = inner_split(rest) if select == 'inner' else (rest, [])
            jobs += [
                Job(arm.name, f'fold-{number}', seed, _ids(train), _ids(inner), _ids(held), threads, keep_checkpoints)
                for arm in arms
            ]
    return jobs


def open_study(work_dir: Path, arms: Sequence[Arm], terms: dict[str, Any]) -> None:
    """Make the folder of a study, or see that it is that of the same one.

    A study may grow (more configs, shots or seeds); what it has must stay: its terms, its volumes and its configs.

    Args:
        work_dir: Made where missing.
        arms: Of this invocation; each one's merged config is kept as ``arms/NAME.py``.
        terms: ``kind`` (few-shot or cross-validation), ``select``, and what else must not change.

    Raises:
        ValueError: The folder is another study's or no study's, or a config changed; the message has the difference.
        OSError: It cannot be written to.
    """
    require_writable(work_dir, '--work-dir')
    file = work_dir / 'study.json'
    mine = dict(terms, train=_fingerprint(arms[0].train), test=_fingerprint(arms[0].test))
    if file.is_file():
        theirs = read_study(work_dir)
        wrong = [
            f'{key}: {theirs.get(key)!r} there, {mine[key]!r} now' for key in mine if theirs.get(key) != mine[key]
        ]
        if wrong:
            raise ValueError(
                f'--work-dir {work_dir} holds another study:\n  ' + '\n  '.join(wrong) + '\nchoose another folder'
            )
    else:
        found = sorted(path.name for path in work_dir.iterdir())
        if found:
            raise ValueError(
                f'--work-dir {work_dir} must be empty or hold a study, it has {few(found)}: choose another'
            )
        write_json(file, mine)
    for arm in arms:
        _keep_config(work_dir / 'arms' / f'{arm.name}.py', arm)


def read_study(work_dir: Path) -> dict[str, Any]:
    """The terms of a study.

    Raises:
        FileNotFoundError: The folder holds none.
    """
    file = work_dir / 'study.json'
    if not file.is_file():
        raise FileNotFoundError(f'--work-dir {work_dir} holds no study: it has no study.json')
    return json.loads(file.read_text(encoding='utf-8'))


def _keep_config(file: Path, arm: Arm) -> None:
    text = arm.config.pretty_text
    if not file.is_file():
        with atomic_path(file) as draft:
            draft.write_text(text, encoding='utf-8')
        return
    old = file.read_text(encoding='utf-8')
    if old != text:
        lines = difflib.unified_diff(old.splitlines(), text.splitlines(), 'in the study', 'now', lineterm='', n=1)
        raise ValueError(
            f'config {arm.name} changed since the study in {file.parent.parent} began:\n'
            + '\n'.join(lines)
            + '\nundo the change, name the config anew to add it as another arm, or choose another --work-dir'
        )


def load_kept_config(work_dir: Path, arm: str) -> Config:
    """The merged config of an arm, as the study keeps it."""
    return Config.fromfile(str(work_dir / 'arms' / f'{arm}.py'))


def _ids(records: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(str(record['case']) for record in records)


def _fingerprint(records: Sequence[dict[str, Any]]) -> str:
    ids = sorted(_ids(records))
    return f'{len(ids)} volumes, {hashlib.sha256(json.dumps(ids).encode()).hexdigest()[:12]}'

"""The folder of a study: what it compares, and that every invocation on it means the same.

``study.json`` has its terms, ``arms/NAME.py`` the merged configs, ``jobs/ARM/GROUP/seed-N/`` all of a training, and
``commands.txt`` what was typed.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medctx3d.datasets.checks import Record, few
from medctx3d.studies.arms import Arm, scoring
from medctx3d.studies.job import Job, kept_config, read_job, write_json
from medctx3d.studies.plan import case_ids
from medctx3d.utils.atomic import atomic_path, require_writable


def open_study(work_dir: Path, arms: Sequence[Arm], *, kind: str, select: str, command: str) -> None:
    """Make the folder of a study, or see that it is that of the same one.

    A study may grow (more configs, shots or seeds); what it has must stay: its terms, its volumes and its configs.

    Args:
        work_dir: Made where missing.
        arms: Of this invocation; each one's merged config is kept as ``arms/NAME.py``.
        kind: ``few-shot`` or ``cross-validation``.
        select: Which checkpoint is tested.
        command: What was typed.

    Raises:
        ValueError: The folder is another study's or no study's, or a config changed; the message has the difference.
        OSError: It cannot be written to.
    """
    require_writable(work_dir, '--work-dir')
    terms = _terms(arms, kind, select)
    names = [arm.name for arm in arms]
    if (work_dir / 'study.json').is_file():
        study = read_study(work_dir)
        wrong = [f'{key}: {study.get(key)} there, {value} now' for key, value in terms.items() if study[key] != value]
        if wrong:
            told = '\n  '.join(wrong)
            raise ValueError(f'--work-dir {work_dir} holds another study:\n  {told}\nchoose another folder')
        names = list(dict.fromkeys([*study['arms'], *names]))
    else:
        found = sorted(path.name for path in work_dir.iterdir())
        if found:
            raise ValueError(
                f'--work-dir {work_dir} must be empty or hold a study, it has {few(found)}: choose another folder'
            )
    for arm in arms:
        _keep_config(work_dir, arm)
    write_json(work_dir / 'study.json', dict(terms, arms=names))
    with open(work_dir / 'commands.txt', 'a', encoding='utf-8') as stream:
        stream.write(command + '\n')


def read_study(work_dir: Path) -> dict[str, Any]:
    """The terms of a study.

    Raises:
        FileNotFoundError: The folder holds none.
    """
    file = work_dir / 'study.json'
    if not file.is_file():
        raise FileNotFoundError(f'--work-dir {work_dir} holds no study, it has no study.json: correct the path')
    return json.loads(file.read_text(encoding='utf-8'))


def note_jobs(work_dir: Path, jobs: Sequence[Job]) -> None:
    """Write down what is planned, as ``job.json`` in each job's folder.

    Raises:
        ValueError: A finished job was drawn otherwise, so that the others would not be comparable with it.
    """
    for job in jobs:
        folder = job.folder(work_dir)
        if not job.is_done(work_dir):
            write_json(folder / 'job.json', job._asdict())
            continue
        done = read_job(folder)
        if (done.train, done.inner, done.test) != (job.train, job.inner, job.test):
            raise ValueError(
                f'{folder} was trained on other cases ({few(done.train)}) than this version would draw '
                f'({few(job.train)}): choose another --work-dir'
            )


def _terms(arms: Sequence[Arm], kind: str, select: str) -> dict[str, Any]:
    """What all invocations on a folder must share."""
    first = next((arm for arm in arms if arm.factor is None), arms[0])
    return dict(
        kind=kind,
        select=select,
        volumes=len(first.train),
        train=_fingerprint(first.train),
        test=_fingerprint(first.test),
        iterations=round(first.iterations / (first.factor or 1)),
        classes=list(first.metainfo['classes']),
        reported=first.reported,
        scoring=json.loads(json.dumps(scoring(first.config))),  # as it will be read back
    )


def _keep_config(work_dir: Path, arm: Arm) -> None:
    file = work_dir / 'arms' / f'{arm.name}.py'
    if not file.is_file():
        with atomic_path(file) as draft:
            draft.write_text(arm.config.pretty_text, encoding='utf-8')
        return
    if kept_config(work_dir, arm.name).to_dict() != arm.config.to_dict():
        old, new = file.read_text(encoding='utf-8').splitlines(), arm.config.pretty_text.splitlines()
        lines = difflib.unified_diff(old, new, 'in the study', 'now', lineterm='', n=1)
        raise ValueError(
            f'config {arm.name} changed since the study in {work_dir} began:\n'
            + '\n'.join(lines)
            + '\nundo the change, add it as another arm (NAME=PATH), or choose another --work-dir'
        )


def _fingerprint(records: Sequence[Record]) -> str:
    ids = sorted(case_ids(records))
    return f'{len(ids)} volumes ({hashlib.sha256(json.dumps(ids).encode()).hexdigest()[:12]})'

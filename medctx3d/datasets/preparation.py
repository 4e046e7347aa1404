"""Preparing cases: from source files to whole folders of the store."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from medctx3d.datasets.checks import image_paths
from medctx3d.datasets.parallel import work_through
from medctx3d.datasets.pipeline import build_pipeline, run_pipeline
from medctx3d.datasets.prepared_volume import as_sample, read_meta, save_prepared

FORMAT = 1  # of the files in a case's folder; another number prepares anew


class Job(NamedTuple):
    """One case to prepare.

    Attributes:
        record: ``dict(case, image, label)``.
        folder: Where the case belongs; named by all that the result depends on.
        fingerprint: The same in words, for ``meta.json``.
        load_pipeline: Configs of the transforms.
        metainfo: Of the data set.
        image_dtype: Of the stored image.
        foreground_per_class: Most voxels listed per class.
    """

    record: dict[str, Any]
    folder: Path
    fingerprint: dict[str, Any]
    load_pipeline: Sequence[dict]
    metainfo: dict[str, Any]
    image_dtype: str
    foreground_per_class: int


def prepare_cases(jobs: Sequence[Job], workers: int, *, title: str, progress: bool) -> None:
    """Prepare all cases, in ``workers`` processes (in this one if there is one at most).

    Raises:
        OSError: A source file is missing or writing failed.
        ValueError: A source file breaks a rule, or values do not fit.
    """
    work_through(prepare_case, jobs, workers, title=title, progress=progress)


def prepare_case(job: Job) -> Path:
    """Prepare one case; its folder, which is returned, appears under its name only when whole.

    Raises:
        OSError: A source file is missing or writing failed; the message names the folder.
        ValueError: A source file breaks a rule, or values do not fit.
    """
    if read_meta(job.folder) is not None:  # another process was faster
        return job.folder
    case = job.record['case']
    pipeline = build_pipeline(job.load_pipeline, job.metainfo)
    sample = as_sample(run_pipeline(pipeline, dict(job.record), case), job.record)
    job.folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(job.folder.parent)
    temporary = job.folder.parent / f'.{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex}'
    try:
        temporary.mkdir()
        save_prepared(
            temporary,
            sample,
            image_dtype=job.image_dtype,
            foreground_per_class=job.foreground_per_class,
            fingerprint=job.fingerprint,
        )
        _move_into_place(temporary, job.folder)
    except OSError as error:
        raise OSError(
            error.errno or errno.ENOSPC,
            f'case {case!r} could not be written ({error}): make room in the folder below, or choose another root= '
            'for the store; cases already prepared are kept',
            str(job.folder.parent),
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _remove_outdated(job)
    return job.folder


def _move_into_place(temporary: Path, folder: Path) -> None:
    if folder.exists() and read_meta(folder) is None:  # damaged from outside: out of the way first
        shutil.rmtree(folder, ignore_errors=True)
    try:
        os.rename(temporary, folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        # Another process finished the same case first; its result is as good as ours.


def _remove_outdated(job: Job) -> None:
    """Remove the same case prepared from earlier versions of the same files."""
    paths = [source['path'] for source in job.fingerprint['sources']]
    prefix = job.folder.name.rpartition('-')[0]
    for folder in job.folder.parent.iterdir():
        if folder == job.folder or folder.name.rpartition('-')[0] != prefix:
            continue
        meta = read_meta(folder)
        if meta is not None and [source['path'] for source in meta['fingerprint']['sources']] == paths:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers(parent: Path) -> None:
    """Remove temporary folders of processes of this machine that died while writing."""
    for folder in parent.glob(f'.{socket.gethostname()}.*'):
        process = folder.name.split('.')[-2]
        try:
            os.kill(int(process), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (PermissionError, ValueError):
            continue


def sources(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Path, size and time of each of a record's files.

    Raises:
        FileNotFoundError: A file is missing.
    """
    return [_source(str(path)) for path in [*image_paths(record), record.get('label'), record.get('regions')] if path]


def _source(path: str) -> dict[str, Any]:
    absolute = Path(path).expanduser().absolute()
    if not absolute.is_file():
        raise FileNotFoundError(f'{absolute}: no such file; correct the data list or data_root')
    status = absolute.stat()
    return dict(path=str(absolute), size=status.st_size, mtime_ns=status.st_mtime_ns)


def plain(value: Any, where: str) -> Any:
    """``value`` as JSON knows it, classes and functions by name.

    Args:
        value: Configs and meta information.
        where: What it is, for the message.

    Raises:
        TypeError: Something has no such form.
    """
    if isinstance(value, dict):
        return {str(key): plain(item, f'{where}.{key}') for key, item in sorted(value.items(), key=str)}
    if isinstance(value, (list, tuple)):
        return [plain(item, f'{where}[{position}]') for position, item in enumerate(value)]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if hasattr(value, '__qualname__') and '<' not in value.__qualname__:
        return f'{value.__module__}.{value.__qualname__}'
    raise TypeError(
        f'{where} is {value!r}: with a store, load_pipeline must hold plain values and names only, so that a change '
        "is noticed; write the transform as dict(type='...')"
    )


def short_hash(value: Any) -> str:
    """Twelve hexadecimal digits of a plain value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]

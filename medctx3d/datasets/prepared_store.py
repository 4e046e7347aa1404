"""Deterministic preprocessing done once, kept on disk, read crop by crop."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import socket
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import torch
from mmengine.dist import barrier, get_rank
from mmengine.logging import print_log
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from medctx3d.datasets.checks import image_paths
from medctx3d.datasets.disk_space import check_disk_space
from medctx3d.datasets.pipeline import build_pipeline, run_pipeline
from medctx3d.datasets.prepared_volume import IMAGE_TYPES, as_sample, open_prepared, read_meta, save_prepared
from medctx3d.registry import TASK_UTILS

FORMAT = 1
OPEN_VOLUMES = 64  # three file descriptors each, well below the usual limit of 1024


class _Job(NamedTuple):
    record: dict[str, Any]
    folder: Path
    fingerprint: dict[str, Any]
    load_pipeline: Sequence[dict]
    metainfo: dict[str, Any]
    image_dtype: str
    foreground_per_class: int


@TASK_UTILS.register_module()
class PreparedStore:
    """Prepared volumes on disk, one folder per case, read through memory maps.

    ``root/<load pipeline>/<case>-<sources>/`` holds ``image.npy`` (C, X, Y, Z), ``label.npy`` (1, X, Y, Z),
    ``foreground.npy`` (voxel positions by class) and ``meta.json``. The two marks in the path are hashes: of the load
    pipeline with the classes, channels and label map, and of the source files' paths, sizes and times. A changed
    pipeline therefore prepares beside the earlier one, which another run may be reading; a case whose source file
    changed replaces its earlier self. A folder appears under its name only when whole.

    Args:
        root: Folder of the store, made when missing.
        image_dtype: ``'float16'`` (for windowed or normalised intensities), ``'int16'`` (for whole numbers such as
            HU) or ``'float32'``.
        foreground_per_class: Most voxels listed per class for balanced crops.
        num_workers: Processes that prepare; 0 prepares in this one, None takes one per core, at most 8.

    Raises:
        ValueError: An argument is outside its range.
    """

    def __init__(
        self,
        root: str,
        *,
        image_dtype: str = 'float16',
        foreground_per_class: int = 20000,
        num_workers: int | None = None,
    ) -> None:
        if image_dtype not in IMAGE_TYPES:
            raise ValueError(f'image_dtype must be one of {", ".join(IMAGE_TYPES)}, got {image_dtype!r}')
        if foreground_per_class < 1:
            raise ValueError(f'foreground_per_class must be at least 1, got {foreground_per_class}')
        if num_workers is not None and num_workers < 0:
            raise ValueError(f'num_workers must be 0 or more (or None), got {num_workers}')
        self.root = Path(root).expanduser().absolute()
        self.image_dtype = image_dtype
        self.foreground_per_class = foreground_per_class
        self.num_workers = num_workers
        self._folders: dict[str, Path] = {}
        self._open: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def prepare(
        self,
        records: Sequence[dict[str, Any]],
        load_pipeline: Sequence[dict],
        metainfo: dict[str, Any],
        *,
        progress: bool = True,
    ) -> None:
        """Prepare what is missing or outdated; several processes may do so at once.

        Under a launcher rank 0 goes first, so that the others find its work done.

        Args:
            records: The cases, ``dict(case, image, label)``.
            load_pipeline: Configs of deterministic transforms, beginning with ``LoadVolume``.
            metainfo: Meta information of the data set.
            progress: Show a progress bar on stderr while preparing.

        Raises:
            OSError: A source file is missing, or the disk is full; nothing half-written stays.
            ValueError: A source file breaks a rule, a case id is there twice, or values do not fit ``image_dtype``.
            TypeError: ``load_pipeline`` holds something that cannot be written into a fingerprint.
        """
        jobs = [self._job(record, load_pipeline, metainfo) for record in records]
        self._folders = {job.record['case']: job.folder for job in jobs}
        if len(self._folders) != len(jobs):
            cases = [job.record['case'] for job in jobs]
            twice = next(case for case in cases if cases.count(case) > 1)
            raise ValueError(f'case {twice!r} is in the data list twice: case ids must be unique')
        if get_rank() > 0:
            barrier()
        missing = [job for job in jobs if read_meta(job.folder) is None]
        if missing:
            self.root.mkdir(parents=True, exist_ok=True)
            check_disk_space(self.root, [job.record for job in missing], load_pipeline, self.image_dtype)
            self._run(missing, progress)
            self._mention_other_preparations(missing[0].folder.parent)
        if get_rank() == 0:
            barrier()

    def open(self, record: dict[str, Any]) -> dict[str, Any]:
        """One prepared case; its arrays are memory maps and cost nothing until they are sliced.

        Args:
            record: One of those given to :meth:`prepare`.

        Returns:
            A new dictionary with ``image``, ``affine``, ``source_affine``, ``source_shape``, ``case``,
            ``image_path``, ``label_path``, and for labelled cases ``label`` and ``foreground``.

        Raises:
            KeyError: The case was not prepared.
            FileNotFoundError: Its folder was removed meanwhile.
        """
        case = record['case']
        if case not in self._folders:
            raise KeyError(f'case {case!r} was not prepared in {self.root}: call prepare() with it first')
        if case not in self._open:
            self._open[case] = open_prepared(self._folders[case])
            if len(self._open) > OPEN_VOLUMES:
                self._open.popitem(last=False)
        self._open.move_to_end(case)
        return dict(self._open[case])

    def shape(self, record: dict[str, Any]) -> tuple[int, int, int]:
        """Voxels (X, Y, Z) of a prepared case."""
        x, y, z = self.open(record)['image'].shape[1:]
        return int(x), int(y), int(z)

    def __getstate__(self) -> dict[str, Any]:
        # A memory map pickles as all its voxels; a spawned worker opens its own.
        return {**self.__dict__, '_open': OrderedDict()}

    def _job(self, record: dict[str, Any], load_pipeline: Sequence[dict], metainfo: dict[str, Any]) -> _Job:
        preparation = dict(
            format=FORMAT,
            load_pipeline=_plain(load_pipeline, 'load_pipeline'),
            metainfo=_plain({key: metainfo.get(key) for key in ('classes', 'channels', 'label_map')}, 'metainfo'),
            image_dtype=self.image_dtype,
            foreground_per_class=self.foreground_per_class,
        )
        sources = [_source(path) for path in [*image_paths(record), record.get('label')] if path]
        name = f'{quote(record["case"], safe=" ")}-{_hash(sources)}'
        return _Job(
            record=record,
            folder=self.root / _hash(preparation) / name,
            fingerprint=dict(preparation=preparation, sources=sources),
            load_pipeline=load_pipeline,
            metainfo=metainfo,
            image_dtype=self.image_dtype,
            foreground_per_class=self.foreground_per_class,
        )

    def _run(self, jobs: list[_Job], progress: bool) -> None:
        workers = min(_cores(), 8) if self.num_workers is None else self.num_workers
        workers = min(workers, len(jobs))
        if workers <= 1 or torch.utils.data.get_worker_info() is not None:  # a loader's worker may have no children
            _track((_done(_prepare_case, job) for job in jobs), len(jobs), self.root, progress)
            return
        with ProcessPoolExecutor(workers, initializer=_use_one_thread) as pool:
            # Submitting starts the processes: before the progress bar's thread exists, which a fork would tear.
            futures = [pool.submit(_prepare_case, job) for job in jobs]
            try:
                _track(as_completed(futures), len(jobs), self.root, progress)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _mention_other_preparations(self, current: Path) -> None:
        others = [folder for folder in self.root.iterdir() if folder.is_dir() and folder != current]
        if others:
            print_log(
                f'{self.root} also holds {len(others)} other preparation(s), made with another load_pipeline or other '
                f'classes: {", ".join(folder.name for folder in others)}. Remove those folders if no run needs them.',
                logger='current',
                level=logging.INFO,
            )


def _prepare_case(job: _Job) -> None:
    if read_meta(job.folder) is not None:  # another process was faster
        return
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
            f'case {case!r} could not be written ({error}): free space in the folder below or choose another root= for '
            'the store; cases already prepared are kept',
            str(job.folder.parent),
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    _remove_outdated(job)


def _move_into_place(temporary: Path, folder: Path) -> None:
    if folder.exists() and read_meta(folder) is None:  # damaged from outside: out of the way first
        shutil.rmtree(folder)
    try:
        os.rename(temporary, folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        # Another process finished the same case first; its result is as good as ours.


def _remove_outdated(job: _Job) -> None:
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


def _track(done: Iterable[Future], total: int, root: Path, progress: bool) -> None:
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task(f'preparing volumes in {root}', total=total)
        for future in done:
            future.result()
            bar.advance(task)


def _done(function: Callable[[_Job], None], job: _Job) -> Future:
    future: Future = Future()
    function(job)
    future.set_result(None)
    return future


def _use_one_thread() -> None:
    torch.set_num_threads(1)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def _source(path: str) -> dict[str, Any]:
    absolute = Path(path).expanduser().absolute()
    if not absolute.is_file():
        raise FileNotFoundError(f'{absolute}: no such file; correct the data list or data_root')
    status = absolute.stat()
    return dict(path=str(absolute), size=status.st_size, mtime_ns=status.st_mtime_ns)


def _plain(value: Any, where: str) -> Any:
    """``value`` as JSON knows it, classes and functions by name."""
    if isinstance(value, dict):
        return {str(key): _plain(item, f'{where}.{key}') for key, item in sorted(value.items(), key=str)}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f'{where}[{position}]') for position, item in enumerate(value)]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if hasattr(value, '__qualname__') and '<' not in value.__qualname__:
        return f'{value.__module__}.{value.__qualname__}'
    raise TypeError(
        f'{where} is {value!r}: with a store, load_pipeline must hold plain values and names only, so that a change '
        "is noticed; write the transform as dict(type='...')"
    )


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]

"""Reading every file of a data set once, in processes, into facts."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from medctx3d.datasets.checks import Record, image_paths
from medctx3d.diagnosis.facts import CaseFacts, FileFacts
from medctx3d.diagnosis.voxel_facts import Window, image_facts, label_facts
from medctx3d.utils.nifti_volume import NiftiForms, read_nifti_forms
from medctx3d.utils.volume_file import read_header, read_volume
from medctx3d.utils.volume_header import NIFTI_SUFFIXES, VolumeHeader


class CaseJob(NamedTuple):
    """One case to read.

    Attributes:
        record: Of the list.
        split: Name of the split it is in.
        metainfo: Of the data set.
        window: Intensities that its load pipeline scales.
        voxels: Read them; headers alone otherwise.
        unlabelled: Whether the case is there to be used without a label.
    """

    record: Record
    split: str
    metainfo: Mapping[str, Any]
    window: Window
    voxels: bool = True
    unlabelled: bool = False


def read_cases(jobs: Sequence[CaseJob], workers: int = 1, *, progress: bool = False) -> list[CaseFacts]:
    """Facts of all cases, in their order; what is wrong with a file is a fact about it.

    Args:
        jobs: The cases.
        workers: Processes; 1 reads in this one.
        progress: Show a bar on stderr.
    """
    found: dict[int, CaseFacts] = {}
    with _Bar(len(jobs), progress) as bar:
        if workers <= 1 or len(jobs) <= 1:
            for number, job in enumerate(jobs):
                found[number] = read_case(job)
                bar.advance()
            return [found[number] for number in range(len(jobs))]
        with ProcessPoolExecutor(min(workers, len(jobs))) as pool:
            futures = {pool.submit(read_case, job): number for number, job in enumerate(jobs)}
            bar.start()  # only now: its thread must not be there when processes are forked
            for future in as_completed(futures):
                with suppress(BrokenProcessPool):
                    found[futures[future]] = future.result()
                bar.advance()
    return [found[number] if number in found else _read_apart(job) for number, job in enumerate(jobs)]


def _read_apart(job: CaseJob) -> CaseFacts:
    """A case in a process of its own, after a process of the pool was killed, by this case or by another."""
    try:
        with ProcessPoolExecutor(1) as pool:
            return pool.submit(read_case, job).result()
    except BrokenProcessPool:
        facts = read_case(job._replace(voxels=False))
        told = 'the process that read it was killed, perhaps because the memory was full. Read it on a larger machine'
        return replace(facts, images=tuple(replace(file, voxel_problem=told) for file in facts.images))


def read_case(job: CaseJob) -> CaseFacts:
    """Facts of one case, each of its files read once."""
    images: list[FileFacts] = []
    first: np.ndarray | None = None
    for path in image_paths(job.record):
        facts, header, voxels = _read_file(path, voxels=job.voxels)
        if header is not None and voxels is not None:
            facts = replace(facts, image=image_facts(voxels, header.affine, job.window))
            if first is None:
                first = voxels if voxels.ndim == 3 else voxels[..., 0]
        images.append(facts)
    label = None
    if job.record.get('label'):
        label, header, voxels = _read_file(str(job.record['label']), voxels=job.voxels)
        if header is not None and voxels is not None and voxels.ndim == 3 and job.metainfo.get('classes'):
            fits = first if first is not None and first.shape == voxels.shape else None
            label = replace(label, label=label_facts(voxels, header.affine, job.metainfo, fits, job.window))
    return CaseFacts(dict(job.record), job.split, tuple(images), label, job.unlabelled)


def _read_file(path: str, *, voxels: bool) -> tuple[FileFacts, VolumeHeader | None, np.ndarray | None]:
    """Facts of a file without its voxels, its header, and its voxels."""
    if not os.path.exists(path):
        return FileFacts(path, missing=True), None, None
    try:
        header, forms = _header(path)
    except (ValueError, OSError) as error:
        return FileFacts(path, header_problem=str(error)), None, None
    facts = FileFacts(path, header=header, forms=forms)
    if not voxels:
        return facts, header, None
    try:
        return facts, header, read_volume(path)[0]
    except (ValueError, OSError, MemoryError) as error:
        problem = str(error) or f'{type(error).__name__} while it was read'
        return replace(facts, voxel_problem=problem), header, None


def _header(path: str) -> tuple[VolumeHeader, NiftiForms | None]:
    if not path.endswith(NIFTI_SUFFIXES):
        return read_header(path), None
    with warnings.catch_warnings():  # of files without orientation, which are found by their forms, every one of them
        warnings.simplefilter('ignore')
        return read_header(path), read_nifti_forms(path)


class _Bar:
    """A bar over all cases, drawn once it is started or first moved."""

    def __init__(self, total: int, shown: bool) -> None:
        columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), disable=not shown)
        self._task = self._progress.add_task('reading cases', total=total)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def start(self) -> None:
        self._progress.start()

    def advance(self) -> None:
        if not self._progress.live.is_started:
            self._progress.start()
        self._progress.advance(self._task)

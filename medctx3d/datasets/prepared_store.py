"""Deterministic preprocessing done once, kept on disk, read crop by crop."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mmengine.dist import barrier, get_rank
from mmengine.logging import print_log

from medctx3d.datasets.disk_space import check_disk_space
from medctx3d.datasets.preparation import FORMAT, Job, plain, prepare_cases, short_hash, sources
from medctx3d.datasets.prepared_volume import IMAGE_TYPES, is_whole, open_prepared, read_meta
from medctx3d.registry import TASK_UTILS
from medctx3d.utils.atomic import require_writable

OPEN_VOLUMES = 64  # three file descriptors each, well below the usual limit of 1024


@TASK_UTILS.register_module()
class PreparedStore:
    """Prepared volumes on disk, one folder per case, read through memory maps.

    ``root/<load pipeline>/<case>-<sources>/`` holds ``image.npy`` (C, X, Y, Z), ``label.npy`` (1, X, Y, Z),
    ``foreground.npy`` (voxel positions by class), ``regions.npy`` (1, X, Y, Z) int32 where region maps are asked for,
    and ``meta.json``. The two marks in the path are hashes: of the load
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
        missing = _lacking(jobs)
        if missing:
            require_writable(self.root, "the store's root=")
            check_disk_space(self.root, [job.record for job in missing], load_pipeline, self.image_dtype)
            workers = min(_cores(), 8) if self.num_workers is None else self.num_workers
            prepare_cases(missing, workers, title=f'preparing volumes in {self.root}', progress=progress)
            self._mention_other_preparations(missing[0].folder.parent)
        if get_rank() == 0:
            barrier()

    def lacking(
        self, records: Sequence[dict[str, Any]], load_pipeline: Sequence[dict], metainfo: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """The records that :meth:`prepare` would have to prepare; nothing is written. Raises as that does."""
        return [job.record for job in _lacking([self._job(record, load_pipeline, metainfo) for record in records])]

    def open(self, record: dict[str, Any]) -> dict[str, Any]:
        """One prepared case; its arrays are memory maps and cost nothing until they are sliced.

        Args:
            record: One of those given to :meth:`prepare`.

        Returns:
            A new dictionary with ``image``, ``affine``, ``source_affine``, ``source_shape``, ``case``,
            ``image_path``, ``label_path``, for labelled cases ``label`` and ``foreground``, and ``regions`` for cases
            with a region map.

        Raises:
            KeyError: The case was not prepared.
            FileNotFoundError: Its folder was removed, or a file of it cut short, meanwhile.
            OSError: The disk does not answer.
        """
        case = record['case']
        if case not in self._folders:
            raise KeyError(f'case {case!r} was not prepared in {self.root}: call prepare() with it first')
        if case not in self._open or not is_whole(self._open[case]):
            self._open[case] = open_prepared(self._folders[case])
            if len(self._open) > OPEN_VOLUMES:
                self._open.popitem(last=False)
        self._open.move_to_end(case)
        return dict(self._open[case])

    def shape(self, record: dict[str, Any]) -> tuple[int, int, int]:
        """Voxels (X, Y, Z) of a prepared case."""
        x, y, z = self.open(record)['image'].shape[1:]
        return int(x), int(y), int(z)

    def damaged(self) -> list[str]:
        """Prepared cases whose files were removed or cut short since."""
        return [case for case, folder in self._folders.items() if read_meta(folder) is None]

    def __getstate__(self) -> dict[str, Any]:
        # A memory map pickles as all its voxels; a spawned worker opens its own.
        return {**self.__dict__, '_open': OrderedDict()}

    def _job(self, record: dict[str, Any], load_pipeline: Sequence[dict], metainfo: dict[str, Any]) -> Job:
        preparation = dict(
            format=FORMAT,
            load_pipeline=plain(load_pipeline, 'load_pipeline'),
            metainfo=plain({key: metainfo.get(key) for key in ('classes', 'channels', 'label_map')}, 'metainfo'),
            image_dtype=self.image_dtype,
            foreground_per_class=self.foreground_per_class,
        )
        files = sources(record)
        name = f'{quote(record["case"], safe=" ")}-{short_hash(files)}'
        return Job(
            record=record,
            folder=self.root / short_hash(preparation) / name,
            fingerprint=dict(preparation=preparation, sources=files),
            load_pipeline=load_pipeline,
            metainfo=metainfo,
            image_dtype=self.image_dtype,
            foreground_per_class=self.foreground_per_class,
        )

    def _mention_other_preparations(self, current: Path) -> None:
        others = [folder for folder in self.root.iterdir() if folder.is_dir() and folder != current]
        if others:
            print_log(
                f'{self.root} also holds {len(others)} other preparation(s), made with another load_pipeline or other '
                f'classes: {", ".join(folder.name for folder in others)}. Remove those folders if no run needs them.',
                logger='current',
                level=logging.INFO,
            )


def _lacking(jobs: Sequence[Job]) -> list[Job]:
    return [job for job in jobs if read_meta(job.folder) is None]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1

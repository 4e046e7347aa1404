"""The data set of volumes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.dist import get_rank

from medctx3d.datasets.checks import check_headers
from medctx3d.datasets.datalist import decathlon_records
from medctx3d.datasets.pipeline import build_pipeline, draw_seed, run_pipeline, seeded
from medctx3d.datasets.pipeline_checks import refuse_blind_flips, refuse_moved_images, refuse_randomness
from medctx3d.datasets.prepared_store import PreparedStore
from medctx3d.datasets.prepared_volume import as_sample
from medctx3d.datasets.read_retry import ReadRetry
from medctx3d.datasets.regions.region_map import check_region_map, region_map_path
from medctx3d.datasets.selection import select_cases, select_part
from medctx3d.datasets.transforms import ForegroundCrop, PackVolume
from medctx3d.registry import DATASETS, TASK_UTILS


@DATASETS.register_module()
class VolumeDataset(BaseDataset):
    """Volumes and their labels, from a list in MSD/Decathlon form.

    ``dataset[draw]`` runs ``pipeline`` on one volume with every random generator seeded from ``(seed, draw)``, so a
    draw is the same whichever worker or rank makes it. ``epoch, index = divmod(draw, len(dataset))``: draws beyond the
    length are further epochs (see :class:`~medctx3d.datasets.SeededSampler`).

    Args:
        ann_file: The list, relative to ``data_root``.
        data_root: Folder that the list and its paths are relative to.
        split: Which list of the file, such as ``'training'`` or ``'validation'``.
        unlabelled_split: A list of the file whose volumes follow, their labels never read: for objectives that need
            none (see :class:`~medctx3d.datasets.MixedSampler`). With ``cases`` it may be ``split`` itself: the rest of
            the cases then come without labels.
        cases: Ids of the cases of the split that are used, in this order; None uses all.
        part: Share of the split's subjects that are used, such as (0.1, 1): the same ones in every run, and those of
            (0, 0.1) are the others. For a pretraining's validation.
        read_labels: False trains without labels: none is read, and none needs to be there.
        load_pipeline: Deterministic transforms, beginning with ``LoadVolume``; run once per case if there is a store.
        pipeline: Transforms of every draw, ending with ``PackVolume``.
        store: Such as ``dict(type='PreparedStore', root='work_dirs/store')``. None runs ``load_pipeline`` at every
            draw, which suits a handful of tiny volumes.
        region_maps: Folder of region maps (tools/dataset/superpixels.py), relative to ``data_root`` or else to the
            list's folder, one ``<case>.nii.gz`` each; ``'beside'``: the folder beside the images', such as
            ``imagesTr_regions``. They come as ``gt_regions``, also of volumes without labels. None: no maps are read.
        crops_per_volume: Draws per volume and epoch.
        retry: Such as ``dict(type='ReadRetry', attempts=5)``, for network file systems. None: a failed read is final.
        metainfo: ``classes``, ``channels``, ``mirror_pairs``, ``label_map``, ``reported``, ``regions``; goes
            before the class's own.
        seed: Of all draws.
        test_mode: Kept for mmengine; draws are treated alike.
        lazy_init: Leave reading the list, the checks and the preparation to ``full_init``.

    Raises:
        ValueError: An argument is outside its range, or a file breaks a rule; then the message names the file.
        FileNotFoundError: The list or a file in it is missing.
    """

    METAINFO = dict(channels=('image',))
    _fully_initialized: bool
    _checked_list = True  # False while the list is read by somebody who checks it
    listed = 0  # cases of ``split`` in ``data_list``; those behind them are used without a label

    def __init__(
        self,
        ann_file: str = '',
        data_root: str = '',
        *,
        split: str = 'training',
        unlabelled_split: str | None = None,
        cases: Sequence[str] | None = None,
        part: tuple[float, float] = (0.0, 1.0),
        read_labels: bool = True,
        load_pipeline: Sequence[dict] = (),
        pipeline: Sequence[dict | Callable[[dict], dict]] = (),
        store: dict | None = None,
        region_maps: str | None = None,
        crops_per_volume: int = 1,
        retry: dict | None = None,
        metainfo: dict | None = None,
        seed: int = 0,
        test_mode: bool = False,
        lazy_init: bool = False,
    ) -> None:
        if crops_per_volume < 1:
            raise ValueError(f'crops_per_volume must be at least 1, got {crops_per_volume}')
        if not 0 <= part[0] < part[1] <= 1:
            raise ValueError(f'part must be (from, to) with 0 <= from < to <= 1, got {tuple(part)}')
        if seed < 0:
            raise ValueError(f'seed must not be negative, got {seed}')
        if metainfo and metainfo.get('label_map'):  # a config in JSON has no whole numbers as keys
            metainfo = dict(metainfo, label_map={int(key): value for key, value in metainfo['label_map'].items()})
        super().__init__(
            ann_file,
            metainfo=metainfo,
            data_root=data_root,
            data_prefix={},
            serialize_data=False,
            test_mode=test_mode,
            lazy_init=True,
            max_refetch=0,
        )
        self.split = split
        self.unlabelled_split = unlabelled_split
        self.cases = None if cases is None else tuple(cases)
        self.region_maps = region_maps
        self.part, self.read_labels = part, read_labels
        self.crops_per_volume = crops_per_volume
        self.seed = seed
        self.load_pipeline = list(load_pipeline)
        self._load = build_pipeline(self.load_pipeline, self._metainfo)
        refuse_randomness(self._load)
        self.pipeline = build_pipeline(pipeline, self._metainfo)
        refuse_blind_flips(self.pipeline, self._metainfo.get('classes', ()))
        if region_maps is not None:
            refuse_moved_images(self.pipeline)
        self.store: PreparedStore | None = TASK_UTILS.build(store) if store is not None else None
        self.retry: ReadRetry | None = TASK_UTILS.build(retry) if retry is not None else None
        if not lazy_init:
            self.full_init()

    def full_init(self) -> None:
        """Read the list, check all headers, prepare what the store lacks. Does nothing the second time."""
        if self._fully_initialized:
            return
        self.read_list()
        self.check_headers()
        if self.store is not None:
            self.prepare_volumes()
            shapes = {record['case']: self._shape(record) for record in self.data_list}
            for crop in self._crops():  # said here, before workers start, and not by every one of them
                crop.note_padding(shapes)
        self._fully_initialized = True

    def read_list(self, *, checked: bool = True) -> None:
        """Read the cases into ``data_list``; no other file is opened.

        Args:
            checked: Without, only what keeps the list from being read is an error, for a reader that looks for the
                rest by itself.
        """
        self._checked_list = checked
        records = self.load_data_list()
        if not self.read_labels:
            records = [dict(record, label=None) for record in records]
        if self.cases is not None:
            records = select_cases(records, self.cases, f'{self.ann_file}: split {self.split!r}')
        records = select_part(records, self.part, f'{self.ann_file}: split {self.split!r}')
        self.listed = len(records) if self.read_labels else 0
        self.data_list = [self._with_regions(record) for record in records + self._unlabelled(records)]

    def check_headers(self) -> None:
        """Check every file of ``data_list`` by its header."""
        for record in self.data_list:
            check_headers(record, self._metainfo)
            if record.get('regions'):
                check_region_map(record)

    def prepare_volumes(self) -> None:
        """Prepare what the store lacks; without a store, load every volume once to see that it can be used."""
        if self.store is not None:
            self.store.prepare(self.data_list, self.load_pipeline, self._metainfo, progress=get_rank() == 0)
        shapes = {record['case']: self._shape(record) for record in self.data_list}
        for crop in self._crops():
            crop.check_volumes(shapes)

    def load_data_list(self) -> list[dict]:
        """The cases as ``dict(case, image, label)`` with absolute paths; subclass for other list formats."""
        return decathlon_records(
            self.ann_file, self.data_root, self.split, labelled=self.read_labels, checked=self._checked_list
        )

    def labelled_draws(self) -> tuple[list[int], list[int]]:
        """The draws of one epoch from volumes with a label, and those from volumes without."""
        draws = range(len(self))
        labelled = [bool(self.data_list[draw // self.crops_per_volume].get('label')) for draw in draws]
        return [d for d in draws if labelled[d]], [d for d in draws if not labelled[d]]

    def prepare_data(self, idx: int) -> dict:
        """One draw, packed.

        Args:
            idx: The draw, from 0; beyond the length in later epochs.

        Raises:
            RuntimeError: A transform failed; the message names the case.
        """
        record = self.data_list[idx % len(self) // self.crops_per_volume]
        if self.retry is None:
            return self._draw(record, idx)
        return self.retry(partial(self._draw, record, idx), record['case'])

    def __len__(self) -> int:
        """Draws per epoch."""
        if not self._fully_initialized:
            self.full_init()
        return len(self.data_list) * self.crops_per_volume

    def __getitem__(self, idx: int) -> dict:
        """``prepare_data``, without mmengine's silent replacement of broken samples."""
        length = len(self)
        if idx < 0:
            if idx < -length:
                raise IndexError(f'draw {idx} of a data set of {length}')
            idx += length
        return self.prepare_data(idx)

    def __iter__(self) -> Iterator[dict]:
        """One epoch in order; indexing alone would never end."""
        return (self[index] for index in range(len(self)))

    def _unlabelled(self, used: Sequence[dict]) -> list[dict]:
        """The cases of ``unlabelled_split`` that are not in use already, their labels forgotten."""
        if self.unlabelled_split is None:
            return []
        taken = {record['case'] for record in used}
        records = decathlon_records(self.ann_file, self.data_root, self.unlabelled_split, checked=self._checked_list)
        return [dict(record, label=None) for record in records if record['case'] not in taken]

    def _draw(self, record: dict[str, Any], draw: int) -> dict[str, Any]:
        sample = dict(self._sample(record), draw=draw)
        with seeded(self.pipeline, draw_seed(self.seed, draw)):
            return run_pipeline(self.pipeline, sample, record['case'])

    def _with_regions(self, record: dict) -> dict:
        if self.region_maps is None:
            return record
        beside = self.region_maps == 'beside'
        base = str(self.data_root or os.path.dirname(self.ann_file))
        folder = self.region_maps if beside else os.path.join(base, self.region_maps)
        return dict(record, regions=str(region_map_path(record, folder)))

    def _sample(self, record: dict[str, Any]) -> dict[str, Any]:
        if self.store is not None:
            sample = self.store.open(record)
            if isinstance(self.pipeline.transforms[0], (ForegroundCrop, PackVolume)):
                return sample  # they copy what they take out of the maps
            return {key: np.array(value) if isinstance(value, np.memmap) else value for key, value in sample.items()}
        return as_sample(run_pipeline(self._load, dict(record), record['case']), record)

    def _shape(self, record: dict[str, Any]) -> tuple[int, ...]:
        if self.store is not None:
            return self.store.shape(record)
        return tuple(as_sample(run_pipeline(self._load, dict(record), record['case']), record)['image'].shape[1:])

    def _crops(self) -> list[ForegroundCrop]:
        return [step for step in self.pipeline.transforms if isinstance(step, ForegroundCrop)]

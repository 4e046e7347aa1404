"""What a run over many cases tells: a bar with the time left, failures as they happen, a summary."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from medctx3d.apis.inference_record import InferenceRecord
from medctx3d.utils.volume_header import VolumeHeader


class InferenceSummary(NamedTuple):
    """How a run went.

    Attributes:
        written: Results of this run.
        kept: Results that were there before, or that another run made meanwhile.
        failed: Why a case has no result, by case.
        elsewhere: Cases that another run was working on when this one ended.
    """

    written: list[Path]
    kept: list[Path]
    failed: dict[str, str]
    elsewhere: list[str]

    @property
    def total(self) -> int:
        """All cases."""
        return sum(len(part) for part in self)

    @classmethod
    def of(cls, record: InferenceRecord, results: Mapping[str, str]) -> InferenceSummary:
        """Read from the record.

        Args:
            record: Of the folder.
            results: File name of the result by case, for all cases of the run.
        """
        known = record.cases()
        entries = {name: known.get(name, {}) for name in results}
        done = [name for name, entry in entries.items() if entry.get('status') == 'done']
        mine = {name for name in done if entries[name]['run'] == record.run}
        return cls(
            written=[record.path.parent / results[name] for name in done if name in mine],
            kept=[record.path.parent / results[name] for name in done if name not in mine],
            failed={name: entry['reason'] for name, entry in entries.items() if entry.get('status') == 'failed'},
            elsewhere=[name for name, entry in entries.items() if entry.get('status') not in ('done', 'failed')],
        )


class InferenceProgress:
    """A progress bar over all processes of a run, fed by the record; its unit is the voxel, so that times hold.

    Args:
        record: Of the folder.
        headers: Of the images, by case.
        kept: Cases that were done before.
        shown: Whether to draw the bar; failures and warnings are told all the same.
    """

    def __init__(
        self, record: InferenceRecord, headers: Mapping[str, VolumeHeader], kept: Collection[str], *, shown: bool
    ) -> None:
        self.record = record
        self.sizes = {name: math.prod(header.shape[:3]) for name, header in headers.items() if name not in kept}
        columns = (TextColumn('{task.description}'), BarColumn(), TextColumn('{task.fields[count]}'))
        left = (TimeElapsedColumn(), TextColumn('left'), TimeRemainingColumn())
        self.bar = Progress(*columns, *left, disable=not shown)
        self.task = self.bar.add_task('segmenting', total=sum(self.sizes.values()), count='')
        self._told: set[str] = set()

    def __enter__(self) -> InferenceProgress:
        self.bar.start()
        self.refresh()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def refresh(self) -> None:
        """Move the bar to where the record is, and tell what is new."""
        entries = self.record.cases()
        over = [name for name in self.sizes if self._is_over(entries.get(name, {}))]
        for name, entry in entries.items():
            said = entry.get('reason') or entry.get('warning')
            if said and entry.get('run') == self.record.run and name not in self._told:
                self._told.add(name)
                kind = 'left out' if entry['status'] == 'failed' else 'warning'
                self.bar.console.print(f'{name}: {kind}: {said}', markup=False, highlight=False, soft_wrap=True)
        running = [name for name in self.sizes if entries.get(name, {}).get('status') == 'running']
        self.bar.update(
            self.task,
            completed=sum(self.sizes[name] for name in over),
            count=f'{len(over)}/{len(self.sizes)}',
            description=running[0] if running else 'segmenting',
        )

    def is_over(self) -> bool:
        """Whether every case is done or has failed."""
        entries = self.record.cases()
        return all(self._is_over(entries.get(name, {})) for name in self.sizes)

    def _is_over(self, entry: Mapping[str, object]) -> bool:
        mine = entry.get('run') == self.record.run
        return entry.get('status') == 'done' or (mine and entry.get('status') == 'failed')

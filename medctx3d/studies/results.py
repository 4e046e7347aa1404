"""What the finished jobs of a study found, as tables of cases and seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medctx3d.evaluation.metrics.summary import mean
from medctx3d.evaluation.report import read_results
from medctx3d.studies.job import Job, read_job

ALL_FOLDS = 'all folds'


class Finished(NamedTuple):
    """A job that was tested.

    Attributes:
        job: What it was.
        facts: Seconds, device, versions.
        cases: Case id to class to metric to value, NaN where not scored.
        reported: Classes whose mean is reported.
    """

    job: Job
    facts: dict[str, Any]
    cases: dict[str, dict[str, dict[str, float]]]
    reported: list[str]

    @property
    def setting(self) -> str:
        """Jobs of one setting are compared: ``shots-3``; the folds of a cross-validation are one."""
        return ALL_FOLDS if self.job.group.startswith('fold-') else self.job.group


class Table(NamedTuple):
    """One score of one arm in one setting.

    Attributes:
        cases: Ids, in order.
        seeds: In order.
        values: (cases, seeds), NaN where not scored or not finished.
    """

    cases: list[str]
    seeds: list[int]
    values: np.ndarray


def planned_jobs(work_dir: Path) -> list[Job]:
    """All jobs that were ever asked for in a study."""
    return [read_job(file.parent) for file in sorted(work_dir.glob('jobs/*/*/seed-*/job.json'))]


def finished_jobs(work_dir: Path) -> list[Finished]:
    """All jobs that were tested."""
    return [_read(job, job.folder(work_dir)) for job in planned_jobs(work_dir) if job.is_done(work_dir)]


def settings_of(finished: Sequence[Finished]) -> list[str]:
    """The settings that occur, by number of shots."""
    return sorted({item.setting for item in finished}, key=lambda name: (len(name), name))


def metrics_of(finished: Sequence[Finished]) -> list[str]:
    """The metrics that were computed."""
    return list(next(iter(next(iter(finished[0].cases.values())).values()))) if finished else []


def table_of(
    finished: Sequence[Finished], arm: str, setting: str, metric: str, *, classes: Sequence[str] = ()
) -> Table:
    """A score of every case under every seed: the mean over classes within the case.

    Args:
        finished: All jobs.
        arm: Whose.
        setting: Which.
        metric: Such as ``dice``.
        classes: Averaged over; the reported ones if empty.
    """
    values: dict[tuple[str, int], float] = {}
    for item in finished:
        if item.job.arm == arm and item.setting == setting:
            for case, scores in item.cases.items():
                chosen = [scores[name][metric] for name in (classes or item.reported)]
                values[case, item.job.seed] = mean(chosen)
    cases, seeds = sorted({case for case, _ in values}), sorted({seed for _, seed in values})
    grid = [[values.get((case, seed), np.nan) for seed in seeds] for case in cases]
    return Table(cases, seeds, np.array(grid, dtype=float).reshape(len(cases), len(seeds)))


def rows_of(finished: Sequence[Finished]) -> tuple[list[str], list[list[Any]]]:
    """Heading and rows of the long table: one row per arm, shots (or fold), seed, case and class."""
    metrics = metrics_of(finished)
    kind = 'fold' if finished and finished[0].setting == ALL_FOLDS else 'shots'
    rows = []
    for item in finished:
        number = item.job.group.rpartition('-')[2]
        for case, classes in item.cases.items():
            for name, scores in classes.items():
                values = ['' if np.isnan(scores[metric]) else scores[metric] for metric in metrics]
                rows.append([item.job.arm, int(number), item.job.seed, case, name, *values])
    return ['arm', kind, 'seed', 'case', 'class', *metrics], rows


def _read(job: Job, folder: Path) -> Finished:
    facts = json.loads((folder / 'done.json').read_text(encoding='utf-8'))
    results = read_results(folder)
    cases = {case['case']: case['classes'] for case in results['cases']}
    return Finished(job, facts, cases, list(results['rules']['reported']))

"""The report of a study, on whatever of it is finished: results.csv, results.json, report.md and a plot."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medctx3d.evaluation.report import without_nan
from medctx3d.studies.aggregate import Cell, Pair, cells_of, pairs_of, plain
from medctx3d.studies.job import Job, kept_config, write_json
from medctx3d.studies.markdown import Summary, write_markdown
from medctx3d.studies.plot import draw_curves
from medctx3d.studies.results import Finished, finished_jobs, metrics_of, planned_jobs, rows_of
from medctx3d.studies.study import read_study
from medctx3d.utils.atomic import atomic_path
from medctx3d.utils.collect_env import collect_env

PLOT = 'dice_by_shots.png'


def write_report(work_dir: Path, *, against: str | None = None) -> Summary:
    """Write all files of the report into the folder of a study.

    Args:
        work_dir: Of the study.
        against: Name of the arm that each other one is compared with; None: all with all.

    Returns:
        What the report says.

    Raises:
        FileNotFoundError: There is no study.
        ValueError: Nothing of it is finished, or no finished arm has the name ``against``.
    """
    study = read_study(work_dir)
    finished = finished_jobs(work_dir)
    if not finished:
        raise ValueError(f'--work-dir {work_dir}: no job of the study is finished, so there is nothing to report')
    jobs = planned_jobs(work_dir)
    arms = [arm for arm in study['arms'] if any(item.job.arm == arm for item in finished)]
    if against is not None and against not in arms:
        raise ValueError(f'--against must name an arm with a finished job ({", ".join(arms)}), got {against!r}')
    metrics = metrics_of(finished)
    cells = {metric: cells_of(finished, arms, metric) for metric in metrics}
    pairs = {metric: pairs_of(finished, arms, metric, against=against) for metric in metrics}
    plot = PLOT if study['kind'] == 'few-shot' and 'dice' in cells else None
    if plot:
        draw_curves(work_dir / plot, cells['dice'], volumes=study['volumes'])
    summary = Summary(
        study=study,
        arms=arms,
        cells=cells,
        pairs=pairs,
        compute=_compute(work_dir, finished, arms),
        planned=len(jobs),
        finished=len(finished),
        unseen=_unseen(jobs),
        commands=_commands(work_dir),
        plot=plot,
    )
    _write_rows(work_dir / 'results.csv', finished)
    write_json(work_dir / 'results.json', without_nan(_content(work_dir, summary, finished)))
    write_markdown(work_dir / 'report.md', summary)
    return summary


def _content(work_dir: Path, summary: Summary, finished: Sequence[Finished]) -> dict[str, Any]:
    def rows(found: dict[str, list[Cell]] | dict[str, list[Pair]]) -> list[dict[str, Any]]:
        return [plain(row) for of_metric in found.values() for row in of_metric]

    configs = {arm: (work_dir / 'arms' / f'{arm}.py').read_bytes() for arm in summary.arms}
    return dict(
        study=summary.study,
        commands=summary.commands,
        versions=collect_env(),
        configs={arm: hashlib.sha256(content).hexdigest() for arm, content in configs.items()},
        planned=summary.planned,
        finished=summary.finished,
        scores=rows(summary.cells),
        pairs=rows(summary.pairs),
        compute=summary.compute,
        unseen=summary.unseen,
        jobs=[dict(item.job._asdict(), **item.facts) for item in finished],
    )


def _compute(work_dir: Path, finished: Sequence[Finished], arms: Sequence[str]) -> list[dict[str, Any]]:
    """Cost of each arm: what one training took, and all of them."""
    rows = []
    for arm in arms:
        facts = [item.facts for item in finished if item.job.arm == arm]
        whole = sorted(fact['train_seconds'] for fact in facts if not fact['resumed'])
        rows.append(
            dict(
                arm=arm,
                trainings=len(facts),
                iterations=facts[0]['iterations'],
                batch_size=kept_config(work_dir, arm).train_dataloader.batch_size,
                median_train_seconds=whole[len(whole) // 2] if whole else None,
                cpu_seconds=round(sum(fact['cpu_seconds'] for fact in facts)),
                devices=sorted({fact['device'] for fact in facts}),
            )
        )
    return rows


def _unseen(jobs: Sequence[Job]) -> dict[str, list[str]]:
    """Classes that a subset does not show, by subset."""
    return {f'{job.group} seed-{job.seed}': list(job.unseen) for job in jobs if job.unseen}


def _commands(work_dir: Path) -> list[str]:
    file = work_dir / 'commands.txt'
    return list(dict.fromkeys(file.read_text(encoding='utf-8').splitlines())) if file.is_file() else []


def _write_rows(file: Path, finished: Sequence[Finished]) -> None:
    headings, rows = rows_of(finished)
    with atomic_path(file) as draft, open(draft, 'w', newline='', encoding='utf-8') as stream:
        csv.writer(stream).writerows([headings, *rows])

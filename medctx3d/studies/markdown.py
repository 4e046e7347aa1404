"""The report of a study in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from medctx3d.evaluation.markdown import interval, number, p_value, table
from medctx3d.evaluation.metrics.metric_table import METRICS
from medctx3d.studies.aggregate import Cell, Pair
from medctx3d.utils.atomic import atomic_path

_SHOWN = ('dice', 'hd95', 'nsd')
_RESAMPLED = (
    'A score is the mean over the reported classes within a case, then over the seeds of that case, then over cases. '
    'Scores of one case under several seeds are not independent, so intervals and tests resample **cases** alone '
    '(95 % bootstrap, BCa; sign-flip permutation test, two-sided, exact up to 13 cases): they tell how far the '
    'finding holds for other cases, given these trainings. What another draw of subsets and seeds would change is '
    'told by the spread over seeds (standard deviation of their means) and by the interval over "cases and seeds".'
)


class Summary(NamedTuple):
    """What a report says.

    Attributes:
        study: Terms of the study.
        arms: Names, in order.
        cells: Scores by metric.
        pairs: Comparisons by metric.
        compute: Cost by arm.
        planned: Number of jobs asked for.
        finished: Number of those that are done.
        unseen: Classes that a subset does not show, by subset.
        commands: What was typed.
        plot: Name of the picture beside the report, or None.
    """

    study: dict[str, Any]
    arms: list[str]
    cells: dict[str, list[Cell]]
    pairs: dict[str, list[Pair]]
    compute: list[dict[str, Any]]
    planned: int
    finished: int
    unseen: dict[str, list[str]]
    commands: list[str]
    plot: str | None


def write_markdown(file: Path, summary: Summary) -> None:
    """Write the report, whole or not at all."""
    with atomic_path(file) as draft:
        draft.write_text('\n'.join(_report(summary)) + '\n', encoding='utf-8')


def _report(summary: Summary) -> Iterator[str]:
    study = summary.study
    yield f'# {"Few labelled volumes" if study["kind"] == "few-shot" else "Cross-validation"}'
    yield ''
    yield from _terms(summary)
    for metric in (name for name in _SHOWN if name in summary.cells):
        yield f'## {METRICS[metric].heading}, mean of {", ".join(study["reported"])}'
        yield ''
        yield from _scores(summary.arms, summary.cells[metric])
    if summary.plot:
        yield f'![Dice by number of labelled volumes]({summary.plot})'
        yield ''
    first = next(iter(summary.cells))
    yield from _spread(summary.cells[first], first)
    yield from _classes(summary.cells[first], first)
    if summary.pairs[first]:
        yield from _pairs(summary.pairs[first], first)
    yield from _compute(summary.compute)
    yield '## Commands'
    yield ''
    yield from ['```', *summary.commands, '```']


def _terms(summary: Summary) -> Iterator[str]:
    study = summary.study
    tested = 'held-out folds' if study['kind'] != 'few-shot' else f'test split: {study["test"]}'
    chosen = 'the last one' if study['select'] == 'last' else 'the best on an inner split of the subset'
    yield f'- training split: {study["train"]}; {tested}'
    yield f'- {study["iterations"]} iterations per training (more where an arm states equal_compute)'
    yield f'- checkpoint: {chosen}'
    yield f'- finished: {summary.finished} of {summary.planned} trainings'
    if summary.finished < summary.planned:
        yield '- **incomplete**: means of arms may rest on different seeds; comparisons use the seeds that both have'
    for subset, classes in summary.unseen.items():
        yield f'- **warning**: no volume of {subset} shows {", ".join(classes)}'
    yield ''
    yield _RESAMPLED
    yield ''


def _scores(arms: Sequence[str], cells: Sequence[Cell]) -> list[str]:
    settings = list(dict.fromkeys(cell.setting for cell in cells))
    found = {(cell.arm, cell.setting): cell for cell in cells}
    rows = []
    for arm in arms:
        row = [found.get((arm, setting)) for setting in settings]
        rows.append([arm, *(f'{number(c.mean, c.metric)} {interval(c.interval, c.metric)}' if c else '' for c in row)])
    return table(['arm', *settings], rows)


def _spread(cells: Sequence[Cell], metric: str) -> list[str]:
    rows = [
        [
            cell.setting,
            cell.arm,
            number(cell.mean, metric),
            str(len(cell.seed_means)),
            number(cell.seed_spread, metric),
            ' '.join(number(value, metric) for value in cell.seed_means.values()),
            interval(cell.crossed, metric),
        ]
        for cell in cells
    ]
    headings = ['setting', 'arm', 'mean', 'seeds', 'spread over seeds', 'each seed', 'interval, cases and seeds']
    return [f'## {METRICS[metric].heading}: what the seeds change', '', *table(headings, rows)]


def _classes(cells: Sequence[Cell], metric: str) -> list[str]:
    names = list(cells[0].classes)
    rows = [[cell.setting, cell.arm, *(number(cell.classes[name], metric) for name in names)] for cell in cells]
    return [f'## {METRICS[metric].heading} by class', '', *table(['setting', 'arm', *names], rows)]


def _pairs(pairs: Sequence[Pair], metric: str) -> list[str]:
    rows = [
        [
            pair.setting,
            f'{pair.second} against {pair.first}',
            number(pair.difference, metric, sign=True),
            interval(pair.interval, metric, sign=True),
            p_value(pair.p),
            p_value(pair.p_holm),
            ' / '.join(map(str, pair.tally)),
            f'{pair.seeds_won} of {pair.seeds}',
        ]
        for pair in pairs
    ]
    headings = [
        'setting',
        'arms',
        'difference',
        '95 % interval',
        'p',
        'p (Holm)',
        'cases won / tied / lost',
        'seeds won',
    ]
    told = f'Holm: adjusted for the {len(pairs)} comparisons of this table.'
    return [f'## {METRICS[metric].heading}: paired comparisons', '', told, '', *table(headings, rows)]


def _compute(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = [
        [
            row['arm'],
            str(row['trainings']),
            str(row['iterations']),
            str(row['batch_size']),
            '' if row['median_train_seconds'] is None else f'{row["median_train_seconds"]:.0f}',
            str(row['cpu_seconds']),
            ', '.join(row['devices']),
        ]
        for row in rows
    ]
    headings = ['arm', 'trainings', 'iterations each', 'batch', 'median training (s)', 'CPU in all (s)', 'device']
    return ['## Compute', '', *table(headings, lines)]

"""A comparison in Markdown, as JSON and as a picture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from matplotlib.figure import Figure

from medctx3d.evaluation.comparison import Comparison, as_data
from medctx3d.evaluation.markdown import interval, number, p_value, table
from medctx3d.evaluation.metrics.metric_table import METRICS
from medctx3d.evaluation.report import without_nan
from medctx3d.utils.atomic import atomic_path

PICTURE = 'comparison.png'
_COLOUR, _DPI = '#0072B2', 150


def write_comparison(folder: Path, found: Comparison) -> None:
    """Write ``comparison.md``, ``comparison.json`` and ``comparison.png``, each whole or not at all."""
    text = '\n'.join([*markdown(found), f'![means and intervals]({PICTURE})', ''])
    data = json.dumps(without_nan(as_data(found)), indent=2, allow_nan=False) + '\n'
    for name, content in (('comparison.md', text), ('comparison.json', data)):
        with atomic_path(folder / name) as draft:
            draft.write_text(content, encoding='utf-8')
    draw_means(folder / PICTURE, found)


def markdown(found: Comparison) -> Iterator[str]:
    """Lines of the report."""
    yield f'# {len(found.names)} runs on {len(found.cases)} cases'
    yield ''
    yield from _terms(found)
    yield '## Scores'
    yield ''
    headings = ['run', *(METRICS[metric].heading for metric in found.scores)]
    rows = [
        [name, *(f'{number(s[i].mean, m)} {interval(s[i].interval, m)}' for m, s in found.scores.items())]
        for i, name in enumerate(found.names)
    ]
    yield from table(headings, rows)
    yield from _ranks(found)
    for metric, pairs in found.pairs.items():
        yield f'## {METRICS[metric].heading}: paired comparisons'
        yield ''
        rows = [
            [
                f'{pair.second} against {pair.first}',
                number(pair.difference, metric, sign=True),
                interval(pair.interval, metric, sign=True),
                p_value(pair.p),
                p_value(pair.p_holm),
                ' / '.join(map(str, pair.tally)),
            ]
            for pair in pairs
        ]
        yield from table(['runs', 'difference', '95 % interval', 'p', 'p (Holm)', 'cases won / tied / lost'], rows)


def _terms(found: Comparison) -> Iterator[str]:
    yield f'- mean of {", ".join(found.classes)} within a case, then over cases'
    yield f'- convention for absent classes: {found.rules.get("convention", "not stated")}'
    if 'surface' in found.rules:
        yield f'- surface: {found.rules["surface"]}'
    tolerance = found.rules.get('nsd_tolerance_mm')
    if 'nsd' in found.scores and tolerance is not None:
        told = ', '.join(f'{k} {v:g}' for k, v in tolerance.items()) if isinstance(tolerance, Mapping) else tolerance
        yield f'- NSD tolerance (mm): {told}'
    yield '- intervals: 95 % bootstrap over cases (BCa); tests: sign flips over cases, two-sided'
    yield f'- Holm: adjusted for the {len(next(iter(found.pairs.values())))} pairs of a metric'
    yield ''


def _ranks(found: Comparison) -> Iterator[str]:
    yield '## Ranking'
    yield ''
    yield (
        f'Ranks within each case and metric, averaged over cases, then over {", ".join(found.scores)}. "First" is the '
        f'share of bootstrap draws of the cases in which a run has the best mean rank. Stability (mean Kendall tau of '
        f'the order in a draw with this order): {found.ranking.stability:.2f}.'
    )
    yield ''
    order = sorted(range(len(found.names)), key=lambda i: found.ranking.places[i].mean_rank)
    rows = []
    for i in order:
        place = found.ranking.places[i]
        by_metric = [f'{place.by_metric[metric]:.2f}' for metric in found.scores]
        ends = f'[{place.interval.low:.2f}, {place.interval.high:.2f}]'
        rows.append([found.names[i], f'{place.mean_rank:.2f}', ends, f'{100 * place.first:.0f} %', *by_metric])
    headings = ['run', 'mean rank', '95 % interval', 'first', *(METRICS[metric].heading for metric in found.scores)]
    yield from table(headings, rows)


def draw_means(file: Path, found: Comparison) -> None:
    """Draw a panel per metric: each run's mean as a point, its interval as a bar.

    Args:
        file: PNG to write.
        found: What was compared.
    """
    height = 1.1 + 0.35 * len(found.names)
    figure = Figure(figsize=(3.2 * len(found.scores) + 1.2, height), layout='constrained')
    panels = figure.subplots(1, len(found.scores), squeeze=False, sharey=True)[0]
    places = list(range(len(found.names)))[::-1]
    for panel, (metric, scores) in zip(panels, found.scores.items(), strict=True):
        panel.hlines(
            places, [s.interval.low for s in scores], [s.interval.high for s in scores], color=_COLOUR, linewidth=1.5
        )
        panel.plot([score.mean for score in scores], places, 'o', color=_COLOUR, markersize=5)
        panel.set_yticks(places, found.names)
        panel.set_ylim(-0.6, len(places) - 0.4)
        panel.set_xlabel(METRICS[metric].heading)
        panel.grid(axis='x', color='#dddddd', linewidth=0.6)
        panel.set_axisbelow(True)
        panel.spines[['top', 'right']].set_visible(False)
    with atomic_path(file) as draft:
        figure.savefig(draft, dpi=_DPI)

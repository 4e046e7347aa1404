"""Render the content of a report as one page without outside references, and as Markdown."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.colors import to_hex

from medctx3d.reporting.pictures import Picture
from medctx3d.reporting.scores import decimals, heading
from medctx3d.reporting.svg import COLOURS, box_chart, line_chart
from medctx3d.reporting.training_log import charts
from medctx3d.visualization.difference import DIFFERENCES
from medctx3d.visualization.overlay import class_color

_FIRST = ('dice', 'hd95', 'nsd')  # metrics whose box plots are shown at once
_ASSETS = resources.files('medctx3d.reporting')


def render_page(
    content: Mapping[str, Any], pictures: Mapping[str, Sequence[Picture]], volumes: Sequence[Mapping[str, Any]]
) -> str:
    """The page; its policy forbids every request, and every script that it did not come with.

    Args:
        content: From :func:`medctx3d.reporting.write_report`, as in ``report.json``.
        pictures: By case.
        volumes: From :func:`~medctx3d.reporting.volumes.pack_case`.
    """
    results = content['results']
    return (
        environment(html=True)
        .get_template('report.html.j2')
        .render(
            **content,
            **_tables(content),
            charts=_curves(content),
            boxes=_boxes(content) if results else [],
            pictures=pictures,
            volumes=list(volumes),
            colours=_classes(content),
            differences=[dict(name=name, color=color) for name, color in DIFFERENCES.values()],
            nonce=secrets.token_urlsafe(16),
            style=Markup(read_asset('templates/report.css')),
            script=Markup(read_asset('templates/report.js')),
            viewer=Markup(read_asset('assets/niivue.umd.js')) if volumes else Markup(),
            viewer_licence=read_asset('assets/niivue.LICENSE.txt') if volumes else '',
        )
    )


def render_markdown(content: Mapping[str, Any]) -> str:
    """The words and tables of the page."""
    return environment(html=False).get_template('report.md.j2').render(**content, **_tables(content))


def environment(*, html: bool) -> Environment:
    """Jinja with the filters of the templates; HTML escapes whatever a template prints."""
    found = Environment(
        loader=PackageLoader('medctx3d.reporting'),
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters.update(number=_number, heading=heading, words=_words, cell=_cell, decimals=decimals)
    return found


def _tables(content: Mapping[str, Any]) -> dict[str, Any]:
    results = content['results'] or {}
    rules = results.get('rules', {})
    curves = [*content['training'].values(), *content['validation'].values()]
    return dict(
        metrics=list(results.get('mean', ())),
        reported=list(rules.get('reported') or results.get('classes', ())),
        rules={key: _words(value) for key, value in rules.items()},
        last_step=max((points[-1][0] for points in curves), default=0),
    )


def _curves(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    drawn = []
    for chart in charts(content['training'], content['validation'], content['floors']):
        names = [dict(name=name, style=f's{i % COLOURS} d{i // COLOURS % 3}') for i, name in enumerate(chart.series)]
        picture = line_chart(chart.title, chart.series, log=chart.log)
        drawn.append(dict(title=chart.title, svg=picture, names=names, main=chart.main))
    return drawn


def _boxes(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    drawn = []
    for metric in content['results']['mean']:
        groups = {
            name: [
                (case['case'], case['classes'][name][metric])
                for case in content['cases']
                if case['classes'].get(name, {}).get(metric) is not None
            ]
            for name in content['results']['classes']
        }
        picture = box_chart(f'{heading(metric)} of every case by class', groups, unit=heading(metric))
        if picture:
            drawn.append(dict(title=heading(metric), svg=picture, main=metric in _FIRST))
    return drawn


def _classes(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Name, id and colour of the classes, background left out."""
    organs = list(enumerate(content['classes']))[1:]
    return [dict(id=label, name=name, color=to_hex(class_color(label))) for label, name in organs]


def _number(value: float | None, metric: str) -> str:
    return '–' if value is None else f'{value:.{decimals(metric)}f}'


def _words(value: Any) -> str:
    """A value of a rule or a seed as a person writes it."""
    if isinstance(value, Mapping):
        pairs = [
            (key, f'({_words(item)})' if isinstance(item, Mapping) else _words(item)) for key, item in value.items()
        ]
        return '; '.join(f'{key}: {words}' for key, words in pairs) or 'none'
    if isinstance(value, (list, tuple)):
        return ', '.join(map(_words, value)) or 'none'
    if value is None or isinstance(value, bool):
        return {None: 'none', True: 'yes', False: 'no'}[value]
    return f'{value:g}' if isinstance(value, float) else str(value)


def _cell(value: Any) -> str:
    """Text for a cell of a Markdown table: names may hold anything."""
    text = str(value).replace('\\', '\\\\').replace('|', '\\|').replace('\n', ' ')
    return text.replace('<', '&lt;').replace('`', '\\`').replace('[', '\\[')


def read_asset(name: str) -> str:
    """Text of a file that comes with the page."""
    return (_ASSETS / name).read_text(encoding='utf-8')

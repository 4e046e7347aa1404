"""Small charts as SVG that takes its colours from the page, so that they can be read in light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup, escape
from matplotlib.ticker import LogLocator, MaxNLocator

from medctx3d.reporting.training_log import Points

WIDTH, HEIGHT = 400, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 10, 36  # margins around the axes
_ROW = 24  # height of one box
_NAMES = 118  # width of the names of boxes
_BARS = 24  # of a histogram
_STEPS = (1, 2, 2.5, 5, 10)  # of ticks
COLOURS = 7  # classes s0 to s6 of the style sheet


class _Scale(NamedTuple):
    """From values to pixels."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (math.log10(x) for x in (self.low, self.high, value)) if self.log else (*self[:2], value)
        return self.start + (value - low) / (high - low) * (self.stop - self.start)


def line_chart(title: str, series: Mapping[str, Points], *, log: bool = False, x_label: str = 'iteration') -> Markup:
    """Curves over iterations; a logarithmic axis only where all values are positive.

    Args:
        title: For people who cannot see the picture.
        series: Points by name, in the order of the colours.
        log: Whether a logarithmic axis of values is wanted.
        x_label: Under the axis.
    """
    steps = [step for points in series.values() for step, _ in points]
    values = [value for points in series.values() for _, value in points]
    log = log and min(values) > 0
    y_scale, y_ticks = _axis(min(values), max(values), HEIGHT - _BOTTOM, _TOP, log=log)
    x_scale, x_ticks = _axis(min(steps), max(steps), _LEFT, WIDTH - _RIGHT, snug=True)
    parts = [_grid(x_scale, x_ticks, y_scale, y_ticks), _text(WIDTH / 2, HEIGHT - 4, x_label, 'middle')]
    for number, points in enumerate(series.values()):
        places = [(x_scale(step), y_scale(value)) for step, value in points]
        line = ' '.join(f'{x:.1f},{y:.1f}' for x, y in places)
        style = f'class="line s{number % COLOURS} d{number // COLOURS % 3}"'
        parts.append(Markup('<polyline {} points="{}"/>').format(Markup(style), line))
        if len(points) == 1:
            parts.append(
                Markup('<circle class="dot s{}" cx="{}" cy="{}" r="3"/>').format(number % COLOURS, *places[0])
            )
    return _svg(title, _told(series), HEIGHT, parts)


def box_chart(title: str, groups: Mapping[str, Sequence[tuple[str, float]]], *, unit: str) -> Markup:
    """One box per group: quartiles and median, whiskers to the outermost case within 1.5 boxes, a dot per case.

    Args:
        title: For people who cannot see the picture.
        groups: Cases with their values by group; a group may be empty.
        unit: Under the axis.
    """
    height = _TOP + _ROW * len(groups) + _BOTTOM
    values = [value for cases in groups.values() for _, value in cases]
    if not values:
        return Markup()
    scale, ticks = _axis(min(values), max(values), _NAMES, WIDTH - _RIGHT)
    parts = [_text(_NAMES + (WIDTH - _NAMES) / 2, height - 4, unit, 'middle')]
    for tick in ticks:
        x = scale(tick)
        parts.append(_line('grid', x, _TOP, x, height - _BOTTOM))
        parts.append(_text(x, height - _BOTTOM + 14, f'{tick:g}', 'middle'))
    for row, (name, cases) in enumerate(groups.items()):
        middle = _TOP + _ROW * (row + 0.5)
        parts.append(_text(_NAMES - 8, middle + 4, _short(name), 'end', full=name))
        parts.extend(_box(scale, middle, cases))
    told = '; '.join(f'{name}: {_quartiles_told(cases)}' for name, cases in groups.items())
    return _svg(title, told, height, parts)


def histogram(title: str, values: Sequence[float], *, unit: str, log: bool = False) -> Markup:
    """How many values lie where; each bar's exact range and count are its tooltip.

    Args:
        title: For people who cannot see the picture.
        values: One at least.
        unit: Under the axis.
        log: Whether a logarithmic axis is wanted; only where all values are positive.
    """
    log = log and min(values) > 0
    low, high = min(values), max(values)
    if low == high and low:  # one bar in an axis whose ticks can be told apart
        low, high = sorted((low * 0.9, low * 1.1))
    scale, ticks = _axis(low, high, _LEFT, WIDTH - _RIGHT, log=log)
    forward = np.log10 if log else np.asarray
    edges = np.linspace(forward(scale.low), forward(scale.high), _BARS + 1)
    counts, _ = np.histogram(forward(np.asarray(values, float)), edges)
    bounds = 10**edges if log else edges
    y_scale, y_ticks = _axis(0, max(int(counts.max()), 1), HEIGHT - _BOTTOM, _TOP)
    y_ticks = [tick for tick in y_ticks if tick == int(tick)]
    parts = [_grid(scale, ticks, y_scale, y_ticks), _text(WIDTH / 2, HEIGHT - 4, unit, 'middle')]
    bar = '<rect class="box" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>'
    for count, low, high in zip(counts, bounds[:-1], bounds[1:], strict=True):
        if count:
            x, y = scale(low), y_scale(int(count))
            height = y_scale(0) - y
            told = f'{low:.4g} to {high:.4g}: {count}'
            parts.append(Markup(bar).format(x, y, max(scale(high) - x - 1, 1), height, told))
    told = f'{len(values)} values, {min(values):.4g} to {max(values):.4g}, median {float(np.median(values)):.4g}'
    return _svg(title, told, HEIGHT, parts)


def _box(scale: _Scale, middle: float, cases: Sequence[tuple[str, float]]) -> list[Markup]:
    if not cases:
        return []
    values = np.array([value for _, value in cases])
    first, median, third = np.percentile(values, (25, 50, 75))
    reach = 1.5 * (third - first)
    low, high = values[values >= first - reach].min(), values[values <= third + reach].max()
    parts = [_line('whisker', scale(low), middle, scale(high), middle)]
    box = '<rect class="box" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="12"/>'
    parts.append(Markup(box).format(scale(first), middle - 6, max(scale(third) - scale(first), 1)))
    parts.append(_line('median', scale(median), middle - 6, scale(median), middle + 6))
    dot = '<circle class="case" cx="{:.1f}" cy="{:.1f}" r="2.2"><title>{}: {:.4g}</title></circle>'
    return [*parts, *(Markup(dot).format(scale(value), middle, case, value) for case, value in cases)]


def _axis(
    low: float, high: float, start: float, stop: float, *, log: bool = False, snug: bool = False
) -> tuple[_Scale, list[float]]:
    """Scale and ticks; ``snug`` ends the axis at the outermost value, not at the next tick."""
    if high <= low:
        low, high = (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
    if log:
        decades = max(1, math.ceil(math.log10(high / low)))
        low, high = low / 1.1, high * 1.1
        locator = LogLocator(subs=(1.0, 2.0, 5.0) if decades < 3 else (1.0,), numticks=20)
        found = [float(tick) for tick in locator.tick_values(low, high) if low <= tick <= high]
        return _Scale(low, high, start, stop, log=True), found[:: math.ceil(len(found) / 7)]
    found = [float(tick) for tick in MaxNLocator(5, steps=_STEPS).tick_values(low, high)]
    if not snug:
        low, high = found[0], found[-1]
    return _Scale(low, high, start, stop), [tick for tick in found if low <= tick <= high]


def _grid(x_scale: _Scale, x_ticks: list[float], y_scale: _Scale, y_ticks: list[float]) -> Markup:
    parts = []
    for tick in y_ticks:
        y = y_scale(tick)
        parts += [_line('grid', _LEFT, y, WIDTH - _RIGHT, y), _text(_LEFT - 6, y + 4, f'{tick:.4g}', 'end')]
    for tick in x_ticks:
        anchor = 'end' if x_scale(tick) > WIDTH - 20 else 'middle'
        parts.append(_text(x_scale(tick), HEIGHT - _BOTTOM + 15, f'{tick:g}', anchor))
    return Markup().join(parts)


def _told(series: Mapping[str, Points]) -> str:
    return '; '.join(
        f'{name}: {points[0][1]:.4g} at {points[0][0]}, {points[-1][1]:.4g} at {points[-1][0]}'
        for name, points in series.items()
    )


def _quartiles_told(cases: Sequence[tuple[str, float]]) -> str:
    if not cases:
        return 'no case'
    first, median, third = np.percentile([value for _, value in cases], (25, 50, 75))
    return f'median {median:.4g}, quartiles {first:.4g} and {third:.4g}, {len(cases)} cases'


def _svg(title: str, told: str, height: int, parts: Sequence[Markup]) -> Markup:
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, height, f'{title}. {told}')
    return head + Markup().join(parts) + Markup('</svg>')


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    line = '<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>'
    return Markup(line).format(kind, x1, y1, x2, y2)


def _text(x: float, y: float, words: str, anchor: str, *, full: str = '') -> Markup:
    hint = Markup('<title>{}</title>').format(full) if full and full != words else Markup()
    text = '<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}{}</text>'
    return Markup(text).format(x, y, anchor, escape(words), hint)


def _short(name: str) -> str:
    name = name.replace('_', ' ')
    return name if len(name) <= 18 else f'{name[:17]}…'

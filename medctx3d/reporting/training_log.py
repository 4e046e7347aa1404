"""Curves of a training from the scalars that mmengine logs, one JSON object per line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from medctx3d.reporting.scores import heading

Points = list[tuple[int, float]]  # step, value

_NO_CURVE = ('iter', 'step', 'epoch')


class Chart(NamedTuple):
    """Curves that are drawn into one picture.

    Attributes:
        title: Of the picture.
        series: Curves by name.
        log: Whether the axis of values is logarithmic.
        main: Whether it is shown at once, or only on demand.
    """

    title: str
    series: dict[str, Points]
    log: bool
    main: bool


def read_curves(trainings: Sequence[Path]) -> tuple[dict[str, Points], dict[str, Points], int]:
    """Curves of a training and of its validations.

    A resumed run replaces what its predecessor logged from the step on at which it took over.

    Args:
        trainings: Folders ``<time>``, oldest first.

    Returns:
        Curves of training steps by key, curves of validations by key, number of lines that could not be read.
    """
    rows: list[dict[str, Any]] = []
    broken = 0
    for folder in trainings:
        mine, lost = _read_rows(folder / 'vis_data' / 'scalars.json')
        broken += lost
        if mine:
            rows = [row for row in rows if row['step'] < mine[0]['step']] + mine
    return _curves(row for row in rows if 'iter' in row), _curves(row for row in rows if 'iter' not in row), broken


def _read_rows(file: Path) -> tuple[list[dict[str, Any]], int]:
    """Rows with ``step``, and the number of lines that are none, such as the last of a killed run."""
    rows, broken, reached = [], 0, 0
    for line in file.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            broken += 1
            continue
        if not isinstance(row, dict) or not isinstance(row.get('step'), int):
            broken += 1
            continue
        if 'iter' not in row:
            row['step'] = max(row['step'], reached)  # validations that were logged by epoch stand at step 0
        reached = row['step']
        rows.append(row)
    return rows, broken


def _curves(rows: Iterable[dict[str, Any]]) -> dict[str, Points]:
    curves: dict[str, Points] = {}
    for row in rows:
        for key, value in row.items():
            if key not in _NO_CURVE and isinstance(value, (int, float)) and math.isfinite(value):
                curves.setdefault(key, []).append((int(row['step']), float(value)))
    return curves


def floors_of(config: Config | None) -> list[tuple[str, str]]:
    """Names of the values that :class:`TrivialFloorHook` compares with a floor, and of their floors."""
    hooks = (config.get('custom_hooks') if config is not None else None) or ()
    watched = [hook for hook in hooks if isinstance(hook, dict) and hook.get('type') == 'TrivialFloorHook']
    return [(hook['value'], hook['floor']) for hook in watched]


def charts(
    training: dict[str, Points], validation: dict[str, Points], floors: Sequence[Sequence[str]] = ()
) -> list[Chart]:
    """Sort curves into pictures: losses by objective, floors, probe, gradients, rates, validation, and the rest.

    Args:
        training: Curves of training steps by key.
        validation: Curves of validations by key.
        floors: From :func:`floors_of`; each value is drawn beside its floor.
    """
    pictures: dict[str, Chart] = {}

    def add(title: str, name: str, points: Points, *, log: bool = False, main: bool = True) -> None:
        pictures.setdefault(title, Chart(title, {}, log, main)).series[name] = points

    for pair in floors:
        for key in pair:
            if key in training:
                add(f'Against what an answer without knowledge scores: {pair[0]}', key, training[key])
    beside = {key for pair in floors for key in pair if not key.startswith('loss')}
    for key, points in training.items():
        if key in beside:
            continue
        objective, _, rest = key.rpartition('.') if not key.startswith('monitor/') else ('', '', key)
        if rest.startswith('loss'):
            add(f'Losses of {objective}' if objective else 'Losses', rest, points, log=True)
        elif key.startswith('monitor/gradient_ratio/'):
            name = key.removeprefix('monitor/gradient_ratio/')
            add('Gradient of each objective over the supervised one', name, points, log=True)
        elif key.startswith('monitor/'):
            group, _, name = key.removeprefix('monitor/').rpartition('/')
            add(f'Monitor: {group or "values"}', name, points, main=False)
        elif key.startswith('probe/'):
            add('Probe of frozen features, mean recall', key.removeprefix('probe/'), points)
        elif key.startswith('embedding/'):
            group = 'effective rank' if key.endswith('rank') else 'spread, mean cosine, dead channels'
            add(f'Embeddings: {group}', key.removeprefix('embedding/'), points)
        elif re.fullmatch(r'(base_)?lr', key):
            add('Learning rate', key, points)
        elif objective:
            add(f'Monitor of {objective}', rest, points, main=rest.startswith('disagreement'))
        else:
            add(key, key, points, main=False)
    for key, points in validation.items():
        metric, _, name = key.partition('/')
        unit = heading(metric).partition('(')[2].rstrip(')')
        if name:
            add(f'Validation: {heading(metric)} by class', name, points, main=metric == 'dice')
        elif key not in ('time', 'data_time', 'memory'):
            add(f'Validation ({unit})' if unit else 'Validation', heading(key).partition(' (')[0], points)
    return sorted(pictures.values(), key=lambda chart: (not chart.main, _order(chart.title)))


def _order(title: str) -> int:
    first = (
        'Losses',
        'Losses of',
        'Against',
        'Validation',
        'Probe',
        'Embeddings',
        'Gradient',
        'Monitor of',
        'Learning rate',
    )
    found = [place for place, word in enumerate(first) if title.startswith(word)]
    return found[-1] if found else len(first)

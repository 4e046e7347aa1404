"""Scored runs that are to be compared: read, and refused where they were not scored alike."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medctx3d.evaluation.metrics.metric_table import SURFACE_METRICS
from medctx3d.evaluation.metrics.summary import mean
from medctx3d.evaluation.report import read_results

_SHOWN = 5  # case ids in a message


class Run(NamedTuple):
    """One method's results.

    Attributes:
        name: In tables.
        results: As in ``results.json``, NaN where not scored.
    """

    name: str
    results: dict[str, Any]


def read_runs(words: Sequence[str]) -> list[Run]:
    """Read runs.

    Args:
        words: ``PATH`` or ``NAME=PATH``, a path being a ``results.json`` or its folder; the folder names a run without
            name.

    Raises:
        ValueError: There are fewer than two, or two have one name.
        FileNotFoundError: A file is missing.
    """
    if len(words) < 2:
        raise ValueError(f'at least two runs are needed for a comparison, got {list(words)}')
    runs: list[Run] = []
    for word in words:
        name, sign, path = word.partition('=')
        if not sign or os.path.exists(word):
            path = word
            folder = Path(word).resolve()
            name = folder.parent.name if folder.is_file() else folder.name
        if any(run.name == name for run in runs):
            raise ValueError(f'two runs are called {name!r}; name them apart: NAME={path}')
        runs.append(Run(name, read_results(path)))
    return runs


def shared_metrics(runs: Sequence[Run]) -> list[str]:
    """Metrics that all runs have, in the order of the first."""
    return [name for name in runs[0].results['mean'] if all(name in run.results['mean'] for run in runs)]


def check_comparable(runs: Sequence[Run]) -> None:
    """Refuse runs whose figures do not mean the same.

    Raises:
        ValueError: Cases, classes or rules differ, or no metric is shared; the message has every difference.
    """
    metrics = shared_metrics(runs)
    if not metrics:
        told = '; '.join(f'{run.name}: {", ".join(run.results["mean"])}' for run in runs)
        raise ValueError(f'the runs share no metric: {told}. Score them again with tools/rescore.py')
    found = [line for other in runs[1:] for line in _differences(runs[0], other, metrics)]
    if found:
        told = '\n  '.join(found)
        raise ValueError(
            f'runs that were not scored alike cannot be compared; tools/rescore.py scores their predictions again by '
            f'one rule:\n  {told}'
        )


def case_table(runs: Sequence[Run], metric: str, classes: Sequence[str] = ()) -> np.ndarray:
    """A score of every case in every run: the mean over classes within the case.

    Args:
        runs: Comparable ones.
        metric: That all have.
        classes: Averaged over; those that the runs report if empty.

    Returns:
        (cases, runs), cases in the order of the first run, NaN where no class is scored.

    Raises:
        ValueError: A class is not among those scored.
    """
    names = list(classes) or runs[0].results['rules']['reported']
    known = list(runs[0].results['cases'][0]['classes'])
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f'the runs score no class {unknown}; they have {known}')
    columns = []
    for run in runs:
        by_case = {case['case']: case['classes'] for case in run.results['cases']}
        columns.append([mean([by_case[case][name][metric] for name in names]) for case in _cases(runs[0])])
    return np.array(columns, dtype=float).T


def _differences(first: Run, other: Run, metrics: Sequence[str]) -> Iterator[str]:
    mine, theirs = _cases(first), _cases(other)
    for run, only in ((first, [c for c in mine if c not in theirs]), (other, [c for c in theirs if c not in mine])):
        if only:
            more = f' and {len(only) - _SHOWN} more' if len(only) > _SHOWN else ''
            yield f'cases only in {run.name}: {", ".join(only[:_SHOWN])}{more}'
    classes = [list(run.results['cases'][0]['classes']) for run in (first, other)]
    if set(classes[0]) != set(classes[1]):
        yield f'classes: {classes[0]} ({first.name}), {classes[1]} ({other.name})'
    rules, others = (_relevant(run.results['rules'], metrics) for run in (first, other))
    for key in rules:
        if rules[key] != others[key]:
            yield f'rules.{key}: {rules[key]!r} ({first.name}), {others[key]!r} ({other.name})'


def _relevant(rules: dict[str, Any], metrics: Sequence[str]) -> dict[str, Any]:
    """What of the rules bears on the metrics; None where a file does not state it."""
    keys = ['convention', 'means', 'grid', 'reported', 'regions']
    keys += ['surface'] if not set(SURFACE_METRICS).isdisjoint(metrics) else []
    keys += ['nsd_tolerance_mm'] if 'nsd' in metrics else []
    found = {key: rules.get(key) for key in keys}
    found['definitions'] = {name: (rules.get('definitions') or {}).get(name) for name in metrics}
    return found


def _cases(run: Run) -> list[str]:
    return [case['case'] for case in run.results['cases']]

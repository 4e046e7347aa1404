"""Show and store the results of an evaluation: a table, per_case.csv and results.json."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from medctx3d.utils.atomic import atomic_path

# Columns of the table, as (key, heading, decimals); what else was computed is in the files.
_COLUMNS = (('dice', 'Dice', 3), ('hd95', 'HD95 mm', 1), ('nsd', 'NSD', 3))


def print_table(results: Mapping[str, Any], *, title: str = '', console: Console | None = None) -> None:
    """Print one row per class and the mean.

    Args:
        results: As :func:`medctx3d.evaluation.metrics.summary.summarize` returns them.
        title: Heading of the table.
        console: Where to print; default: standard output.
    """
    columns = [column for column in _COLUMNS if column[0] in results['mean']]
    reported = results['rules']['reported']
    table = Table(title=title or None, box=box.SIMPLE_HEAD, show_footer=False)
    table.add_column('Class')
    for _, heading, _ in columns:
        table.add_column(heading, justify='right')
    table.add_column('Cases', justify='right')
    for name, scores in results['classes'].items():
        values = [_number(scores[key], decimals) for key, _, decimals in columns]
        style = '' if name in reported else 'dim'
        table.add_row(name, *values, str(scores['cases']), style=style)
    table.add_section()
    _add_mean(table, results, 'mean', columns, len(reported))
    classes = [name for name in results['classes'] if name not in results['rules'].get('regions', {})]
    if set(reported) != set(classes):
        _add_mean(table, results, 'mean_all', columns, len(classes))
    table.caption = _caption(results)
    (console or Console()).print(table)


def _caption(results: Mapping[str, Any]) -> str | None:
    """What must be known of the rules to read the table."""
    rules = results['rules']
    told = [f'absent classes: {rules["convention"]}'] if 'convention' in rules else []
    tolerance = rules.get('nsd_tolerance_mm')
    if tolerance is not None:
        told.append('NSD at one tolerance per class' if isinstance(tolerance, Mapping) else f'NSD at {tolerance:g} mm')
    return '; '.join(told) or None


def _add_mean(table: Table, results: Mapping[str, Any], key: str, columns: list[tuple[str, str, int]], n: int) -> None:
    values = [_number(results[key][metric], decimals) for metric, _, decimals in columns]
    table.add_row(f'mean of {n}', *values, str(len(results['cases'])), style='bold' if key == 'mean' else '')


def _number(value: float, decimals: int) -> str:
    return '-' if math.isnan(value) else f'{value:.{decimals}f}'


def write_results(folder: str | os.PathLike[str], results: Mapping[str, Any]) -> tuple[str, str]:
    """Write ``results.json`` and ``per_case.csv`` into a folder, each whole or not at all.

    Values that are not scored are ``null`` in the first and empty in the second.

    Args:
        folder: Made where missing.
        results: As for :func:`print_table`.

    Returns:
        Paths of both files.
    """
    json_file, csv_file = os.path.join(folder, 'results.json'), os.path.join(folder, 'per_case.csv')
    with atomic_path(json_file) as temporary:
        temporary.write_text(json.dumps(without_nan(results), indent=2, allow_nan=False) + '\n', encoding='utf-8')
    metrics = list(results['mean'])
    with atomic_path(csv_file) as temporary, open(temporary, 'w', newline='', encoding='utf-8') as stream:
        writer = csv.writer(stream)
        writer.writerow(['case', 'class', *metrics])
        for case in results['cases']:
            for name, scores in case['classes'].items():
                values = [scores[metric] for metric in metrics]
                writer.writerow([case['case'], name, *('' if math.isnan(value) else value for value in values)])
    return json_file, csv_file


def read_results(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a ``results.json`` as :func:`write_results` was given it, NaN where a value is not scored.

    Args:
        path: The file, or the folder that it lies in.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is no JSON, or not of this kind.
    """
    file = os.path.join(path, 'results.json') if os.path.isdir(path) else os.fspath(path)
    try:
        with open(file, encoding='utf-8') as stream:
            content = json.load(stream)
    except FileNotFoundError:
        raise FileNotFoundError(f'{file}: no such file; write it with tools/test.py or tools/rescore.py') from None
    except ValueError as error:
        raise ValueError(f'{file}: must be valid JSON: {error}; score the run again') from None
    if not isinstance(content, dict) or not content.get('cases') or 'reported' not in content.get('rules', {}):
        raise ValueError(
            f'{file}: must hold scored cases and their rules, as tools/test.py and tools/rescore.py write them'
        )
    for part in ('mean', 'mean_all'):
        content[part] = _with_nan(content.get(part, {}))
    content['classes'] = {name: _with_nan(scores) for name, scores in content.get('classes', {}).items()}
    for case in content['cases']:
        case['classes'] = {name: _with_nan(scores) for name, scores in case['classes'].items()}
    return content


def _with_nan(scores: Mapping[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in scores.items()}


def without_nan(value: Any) -> Any:
    """The same with NaN as None, which is what JSON can say."""
    if isinstance(value, Mapping):
        return {str(key): without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value

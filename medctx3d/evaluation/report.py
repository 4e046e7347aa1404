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
    if len(reported) < len(results['classes']):
        _add_mean(table, results, 'mean_all', columns, len(results['classes']))
    tolerance = results['rules'].get('nsd_tolerance_mm')
    if tolerance is not None and 'nsd' in results['mean']:
        table.caption = f'NSD at {tolerance:g} mm'
    (console or Console()).print(table)


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


def without_nan(value: Any) -> Any:
    """The same with NaN as None, which is what JSON can say."""
    if isinstance(value, Mapping):
        return {str(key): without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value

"""Tables of Markdown, and numbers as they are written in them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from medctx3d.evaluation.metrics.metric_table import METRICS


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table, the first column to the left and the others to the right."""
    rule = ['---', *['---:'] * (len(headings) - 1)]
    return [f'| {" | ".join(row)} |' for row in (headings, rule, *rows)] + ['']


def number(value: float, metric: str, *, sign: bool = False) -> str:
    """A value of a metric with its usual decimals, ``-`` for NaN."""
    return '-' if math.isnan(value) else f'{value:{"+" if sign else ""}.{METRICS[metric].decimals}f}'


def interval(ends: tuple[float, float], metric: str, *, sign: bool = False) -> str:
    """``[low, high]``, empty for NaN."""
    return '' if math.isnan(ends[0]) else f'[{", ".join(number(end, metric, sign=sign) for end in ends)}]'


def p_value(value: float) -> str:
    """Three decimals, ``< 0.001`` below them."""
    return '< 0.001' if value < 0.001 else f'{value:.3f}'

"""The picture of a few-shot study: a score by number of labelled volumes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medctx3d.studies.aggregate import Cell
from medctx3d.utils.atomic import atomic_path

# Okabe and Ito's colours, told apart by people with any colour vision; marks and dashes tell them apart in grey.
_COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000')
_MARKS = ('o', 's', '^', 'D', 'v', 'P', 'X')
_DASHES = ('-', '--', '-.')
_MOST_BANDS = 6  # arms; the bands of more hide one another
_DPI = 150
_GAP = 0.06  # least distance of two names, as a part of the axis
_SPREAD = 0.3  # of the arms' points side by side, where 1 is the distance of two numbers of volumes


class _Line(NamedTuple):
    """How an arm is drawn, and where its line ends."""

    arm: str
    colour: str
    mark: str
    dash: str
    end: float


def draw_curves(file: Path, cells: Sequence[Cell], *, volumes: int, heading: str = 'mean Dice') -> None:
    """Draw one line per arm with its 95 % interval as bar and, for few arms, band, each line named at its right end.

    Args:
        file: PNG to write.
        cells: Of one metric, settings ``shots-N``.
        volumes: Of the whole training split, which is called "all".
        heading: Of the vertical axis.
    """
    shots = sorted({_shots(cell) for cell in cells})
    arms = list(dict.fromkeys(cell.arm for cell in cells))
    figure = Figure(figsize=(7.8, 4.6), layout='constrained')
    axes = figure.add_subplot()
    shifts = np.linspace(-_SPREAD / 2, _SPREAD / 2, len(arms)) if len(arms) > 1 else [0.0]
    lines = []
    for number, (arm, shift) in enumerate(zip(arms, shifts, strict=True)):
        found = sorted((cell for cell in cells if cell.arm == arm), key=_shots)
        line = _Line(arm, *line_style(number), found[-1].mean)
        places = [shots.index(_shots(cell)) + float(shift) for cell in found]
        _draw(axes, line, found, places, banded=len(arms) <= _MOST_BANDS)
        lines.append(line)
    axes.set_xticks(range(len(shots)), [f'all ({count})' if count == volumes else str(count) for count in shots])
    axes.set_xlim(-_SPREAD, len(shots) - 1 + _SPREAD)
    axes.set_xlabel('labelled volumes')
    axes.set_ylabel(heading)
    axes.grid(axis='y', color='#dddddd', linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[['top', 'right']].set_visible(False)
    axes.set_title(_caption(cells), fontsize=8, loc='left', color='#444444')
    _name(axes, lines)
    with atomic_path(file) as draft:
        figure.savefig(draft, dpi=_DPI)


def line_style(number: int) -> tuple[str, str, str]:
    """Colour, mark and dashes of the line with this number; no two of the first 49 are the same."""
    again = number // len(_COLOURS)
    return (
        _COLOURS[number % len(_COLOURS)],
        _MARKS[(number + again) % len(_MARKS)],
        _DASHES[(number + again) % len(_DASHES)],
    )


def _shots(cell: Cell) -> int:
    return int(cell.setting.rpartition('-')[2])


def _draw(axes: Axes, line: _Line, cells: Sequence[Cell], places: Sequence[float], *, banded: bool) -> None:
    means = [cell.mean for cell in cells]
    low, high = [cell.interval.low for cell in cells], [cell.interval.high for cell in cells]
    axes.plot(places, means, color=line.colour, marker=line.mark, linestyle=line.dash, markersize=5)
    axes.vlines(places, low, high, color=line.colour, linewidth=1.2)
    if banded:
        axes.fill_between(places, low, high, color=line.colour, alpha=0.07, linewidth=0)


def _caption(cells: Sequence[Cell]) -> str:
    seeds = {len(cell.seed_means) for cell in cells}
    told = '-'.join(map(str, sorted({min(seeds), max(seeds)})))
    cases = max(cell.cases for cell in cells)
    return f'bars: 95 % bootstrap over {cases} test cases, each averaged over {told} seed(s)'


def _name(axes: Axes, lines: Sequence[_Line]) -> None:
    """Write each arm's name right of its last point, moved apart where two would overlap, and inside the axes."""
    low, high = axes.get_ylim()
    ordered = sorted(lines, key=lambda line: line.end)
    heights: list[float] = []
    for line in ordered:
        heights.append(max((line.end - low) / (high - low), heights[-1] + _GAP if heights else 0.0))
    over = max(heights[-1] - 1.0, 0.0)
    for line, height in zip(ordered, heights, strict=True):
        place = height - over
        axes.plot(
            1.02, place, color=line.colour, marker=line.mark, markersize=5, transform=axes.transAxes, clip_on=False
        )
        axes.annotate(
            line.arm,
            (1.02, place),
            xycoords='axes fraction',
            xytext=(8, 0),
            textcoords='offset points',
            color=line.colour,
            va='center',
            annotation_clip=False,
        )

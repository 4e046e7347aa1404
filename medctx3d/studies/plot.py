"""The picture of a few-shot study: a score by number of labelled volumes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medctx3d.studies.aggregate import Cell
from medctx3d.utils.atomic import atomic_path

# Okabe and Ito's colours, told apart by people with any colour vision; marks and dashes tell them apart in grey.
_COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000')
_MARKS = ('o', 's', '^', 'D', 'v', 'P', 'X')
_DASHES = ('-', '--', '-.')  # three go through the seven colours without repeating a pair before 21 lines
_DPI = 150
_GAP = 0.045  # least distance of two labels, as a part of the axis


def draw_curves(file: Path, cells: Sequence[Cell], *, volumes: int, heading: str = 'mean Dice') -> None:
    """Draw one line per arm with its 95 % interval as a band, each line named at its right end.

    Args:
        file: PNG to write.
        cells: Of one metric, settings ``shots-N``.
        volumes: Of the whole training split, which is called "all".
        heading: Of the vertical axis.
    """
    shots = sorted({_shots(cell) for cell in cells})
    figure = Figure(figsize=(7.5, 4.6), layout='constrained')
    axes = figure.add_subplot()
    arms = list(dict.fromkeys(cell.arm for cell in cells))
    ends = []
    for number, arm in enumerate(arms):
        line = sorted((cell for cell in cells if cell.arm == arm), key=_shots)
        places = [shots.index(_shots(cell)) for cell in line]
        colour = _COLOURS[number % len(_COLOURS)]
        mark, dash = _MARKS[number % len(_MARKS)], _DASHES[number % len(_DASHES)]
        axes.plot(places, [cell.mean for cell in line], color=colour, marker=mark, linestyle=dash)
        low, high = [cell.interval.low for cell in line], [cell.interval.high for cell in line]
        axes.fill_between(places, low, high, color=colour, alpha=0.13, linewidth=0)
        ends.append((places[-1], line[-1].mean, arm, colour))
    axes.set_xticks(range(len(shots)), [f'all ({count})' if count == volumes else str(count) for count in shots])
    axes.set_xlim(-0.15, len(shots) - 1 + 0.15)
    axes.set_xlabel('labelled volumes')
    axes.set_ylabel(heading)
    axes.grid(axis='y', color='#dddddd', linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[['top', 'right']].set_visible(False)
    _label(axes, ends)
    seeds = {len(cell.seed_means) for cell in cells}
    told = '-'.join(map(str, sorted({min(seeds), max(seeds)})))
    cases = max(cell.cases for cell in cells)
    axes.set_title(
        f'bands: 95 % bootstrap over {cases} test cases, each averaged over {told} seed(s)',
        fontsize=8,
        loc='left',
        color='#444444',
    )
    with atomic_path(file) as draft:
        figure.savefig(draft, dpi=_DPI)


def _shots(cell: Cell) -> int:
    return int(cell.setting.rpartition('-')[2])


def _label(axes: Axes, ends: Sequence[tuple[int, float, str, str]]) -> None:
    """Write each arm's name right of its last point, moved up where two would overlap."""
    low, high = axes.get_ylim()
    last = -float('inf')
    for _, value, arm, colour in sorted(ends, key=lambda end: end[1]):
        height = max((value - low) / (high - low), last + _GAP)
        last = height
        axes.annotate(
            arm,
            (1.0, height),
            xycoords='axes fraction',
            xytext=(6, 0),
            textcoords='offset points',
            color=colour,
            va='center',
            annotation_clip=False,
        )

"""Draw what pretrainings logged: objective over floor, spread of the embeddings, and the probe.

    python tools/draw_pretraining.py work_dirs/voco/unet_hippocampus_v2 --out voco.png
    python tools/draw_pretraining.py voco=work_dirs/voco/unet_hippocampus_v2 moco=WORK_DIR ... --out all.png

Work dirs of tools/train.py, PATH or NAME=PATH. Above the line of the first panel a run knows no more than an answer
that knows nothing; a mean cosine near 1 or an effective rank near 1 is a collapse; the probe begins at random weights.
What a method does not log is not drawn. The values behind the picture are printed.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from medctx3d.reporting.training_log import Points, floors_of, read_curves
from medctx3d.reporting.work_dir import find_work_dir, newest_config
from medctx3d.studies.plot import line_style
from medctx3d.utils.atomic import atomic_path, require_writable
from medctx3d.utils.command_line import run_tool

PANELS = {  # title of a panel: the logged value, and the line of an answer that knows nothing
    'objective / floor': ('objective', 1.0),
    'mean cosine of the embeddings': ('embedding/cosine', 1.0),
    'effective rank of the embeddings': ('embedding/effective_rank', 1.0),
    'linear probe, mean recall': ('probe/linear', None),
}
_MARKED = 6  # marks along a line


class Run(NamedTuple):
    """What a pretraining logged.

    Attributes:
        name: In the picture.
        curves: By the names of ``PANELS``.
    """

    name: str
    curves: dict[str, Points]


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('runs', nargs='+', metavar='WORK_DIR', help='of tools/train.py, PATH or NAME=PATH')
    parser.add_argument('--out', required=True, metavar='FILE', help='the picture, .png')
    parser.add_argument('--safe', action='store_true', help='read the configs as data, for work dirs not trusted')
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and the logs, print the last values, draw."""
    args = parse_args(arguments)
    out = Path(args.out)
    require_writable(str(out.parent), '--out')
    runs = [read_run(given, safe=args.safe) for given in args.runs]
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise ValueError(f'runs must have different names, got {", ".join(names)}: give NAME=PATH')
    Console().print(table(runs))
    with atomic_path(out) as draft:
        draw(runs).savefig(draft, format='png', dpi=130, facecolor='white')
    print(f'done: {os.path.abspath(out)}')


def read_run(given: str, *, safe: bool) -> Run:
    """The curves of a work dir, PATH or NAME=PATH.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: No training logged there anything that is drawn.
    """
    name, _, path = given.rpartition('=')
    found = find_work_dir(path, safe=safe)
    logged, _, _ = read_curves(found.trainings)
    curves = {key: changes(logged[key]) for key, _ in PANELS.values() if key in logged}
    for name_of_value, name_of_floor in floors_of(newest_config(found, 'train'))[:1]:
        floor = dict(logged.get(name_of_floor, []))
        curves['objective'] = [
            (step, one / floor[step]) for step, one in logged.get(name_of_value, []) if floor.get(step)
        ]
    if not curves:
        raise ValueError(
            f'{path}: its scalars hold none of {", ".join(key for key, _ in PANELS.values())}: give the work dir of a '
            'pretraining with TrivialFloorHook, CollapseMonitorHook or ProbeHook'
        )
    return Run(name or Path(path).name, curves)


def changes(points: Points) -> Points:
    """The points at which a value is another than before: what is measured seldom is logged again until then."""
    return [point for number, point in enumerate(points) if not number or point[1] != points[number - 1][1]]


def table(runs: list[Run]) -> Table:
    """The last value of every curve, and the first of the probe."""
    answer = Table(
        'run', 'steps', 'floor', 'cosine', 'rank', 'probe', title='last values; the first of the probe', box=None
    )
    for run in runs:

        def last(key: str, digits: int, run: Run = run) -> str:
            points = run.curves.get(key)
            return f'{points[-1][1]:.{digits}f}' if points else '-'

        probe = run.curves.get('probe/linear')
        before = f'{probe[0][1]:.3f} -> ' if probe else ''
        answer.add_row(
            run.name,
            str(max(points[-1][0] for points in run.curves.values())),
            last('objective', 2),
            last('embedding/cosine', 3),
            last('embedding/effective_rank', 1),
            before + last('probe/linear', 3),
        )
    return answer


def draw(runs: list[Run]) -> Figure:
    """Four panels with a line per run, and one legend."""
    figure = Figure(figsize=(10.5, 6.4), layout='constrained')
    FigureCanvasAgg(figure)
    handles: dict[str, Any] = {}
    for axes, (title, (key, nothing)) in zip(figure.subplots(2, 2).flat, PANELS.items(), strict=True):
        for number, run in enumerate(runs):
            points = run.curves.get(key)
            if not points:
                continue
            colour, mark, dash = line_style(number)
            every = max(1, len(points) // _MARKED)
            (handles[run.name],) = axes.plot(
                *zip(*points, strict=True), color=colour, marker=mark, linestyle=dash, markevery=every, markersize=5
            )
        if nothing is not None:
            axes.axhline(nothing, color='#888888', linewidth=0.8, linestyle=':')
        axes.set_title(title, fontsize=10, loc='left')
        axes.set_xlabel('iteration', fontsize=9)
        axes.grid(axis='y', color='#dddddd', linewidth=0.6)
        axes.spines[['top', 'right']].set_visible(False)
    shown = {run.name: handles[run.name] for run in runs if run.name in handles}
    figure.legend(list(shown.values()), list(shown), loc='outside right upper', frameon=False)
    return figure


if __name__ == '__main__':
    run_tool(main)

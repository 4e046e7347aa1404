"""Compare scored runs on the same cases: means with intervals, paired tests, wins and losses, a ranking.

    python tools/compare.py work_dirs/unetr work_dirs/medcontext
    python tools/compare.py baseline=runs/a ours=runs/b third=runs/c/results.json --metrics dice nsd --out comparison

A run is a results.json of tools/test.py or tools/rescore.py, or its folder. Runs of other cases, or scored under other
rules, are refused with every difference; tools/rescore.py scores saved predictions again. With --out, comparison.md,
comparison.json and comparison.png are written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from medctx3d.evaluation.comparison import compare
from medctx3d.evaluation.comparison_report import markdown, write_comparison
from medctx3d.evaluation.runs import read_runs
from medctx3d.utils.atomic import require_writable
from medctx3d.utils.command_line import run_tool


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('runs', nargs='+', metavar='[NAME=]RUN', help='results.json, or the folder it lies in')
    parser.add_argument('--metrics', nargs='+', default=[], metavar='NAME', help='default: dice, hd95, nsd')
    parser.add_argument('--classes', nargs='+', default=[], metavar='NAME', help='default: those that are reported')
    parser.add_argument('--out', type=Path, help='folder for the report; printed only if left out')
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Read the runs, compare, print and write."""
    args = parse_args(arguments)
    runs = read_runs(args.runs)
    if args.out is not None:
        require_writable(args.out, '--out')
    found = compare(runs, metrics=args.metrics, classes=args.classes)
    print('\n'.join(markdown(found)))
    if args.out is not None:
        write_comparison(args.out, found)
        print(f'done: comparison.md, comparison.json and comparison.png lie in {args.out.resolve()}')


if __name__ == '__main__':
    run_tool(main)

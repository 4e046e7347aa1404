"""Score a folder of predicted label files, under any convention, without a model.

    python tools/rescore.py work_dirs/run/test/predictions --config CONFIG --out rescored
    python tools/rescore.py predictions --truth data/labelsTs --classes background liver spleen --out rescored
    python tools/rescore.py predictions --truth dataset.json --split test --convention synapse-zero --out rescored

Predictions are <case>.nii.gz, or .nrrd, .mha, ... The truth is a folder of files with the same names, a Decathlon
JSON, or the test split of a config, which also knows classes, regions and the label map. results.json states every
rule that was used; per_case.csv has a row per case and class. With --probabilities, volumes (X, Y, Z, K) of the K
classes' probabilities under the same names are judged too: calibration and entropy.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from medctx3d.apis.probability_files import check_probabilities, judge_probabilities
from medctx3d.apis.rescoring import Rescoring, rescore
from medctx3d.apis.truth_files import find_truth, label_files
from medctx3d.datasets.checks import few
from medctx3d.engine.launch import load_config
from medctx3d.evaluation.metrics.conventions import DEFAULT_CONVENTION, MEANS, convention_of
from medctx3d.evaluation.metrics.metric_table import METRIC_NAMES
from medctx3d.evaluation.metrics.score_rules import ScoreRules
from medctx3d.evaluation.metrics.surfaces import SURFACE_RULES
from medctx3d.evaluation.report import print_table, write_results
from medctx3d.registry import register_all_modules
from medctx3d.utils.atomic import require_writable
from medctx3d.utils.command_line import add_config_options, run_tool
from medctx3d.utils.setup_env import setup_environment


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('predictions', type=Path, help='folder of <case>.nii.gz, .nrrd, .mha, ...')
    parser.add_argument('--truth', type=Path, metavar='DIR_OR_JSON', help='label files, or a list of cases')
    parser.add_argument('--config', help='its test split is the truth where --truth is not given; names the classes')
    parser.add_argument('--probabilities', type=Path, metavar='DIR', help='also judge these, <case>.nii or .nii.gz')
    parser.add_argument('--split', default='test', help='list of the JSON (default: test)')
    parser.add_argument('--out', type=Path, required=True, help='folder for results.json and per_case.csv')
    parser.add_argument('--convention', default=DEFAULT_CONVENTION, help='absent classes (default: %(default)s)')
    parser.add_argument('--scores', nargs='+', default=METRIC_NAMES, metavar='NAME', help='metrics (default: all)')
    parser.add_argument('--surface', default='area', help=f'{", ".join(SURFACE_RULES)} (default: %(default)s)')
    parser.add_argument('--means', help=f'{" or ".join(MEANS)} (default: as the convention says)')
    parser.add_argument(
        '--tolerance', nargs='+', default=['2'], metavar='MM', help='of NSD: one number, or CLASS=MM for every class'
    )
    parser.add_argument('--classes', nargs='+', metavar='NAME', help='by id, the background first')
    parser.add_argument('--regions', nargs='+', metavar='NAME=A,B', help='classes scored together, beside the others')
    parser.add_argument('--reported', nargs='+', metavar='NAME', help='classes and regions of the mean')
    parser.add_argument('--label-map', nargs='+', metavar='OLD=NEW', help='values of the truth to class ids')
    parser.add_argument('--prediction-map', nargs='+', metavar='OLD=NEW', help='values of the predictions likewise')
    parser.add_argument('--resample', action='store_true', help='bring predictions to the grid of their truth')
    parser.add_argument('--partial', action='store_true', help='leave out cases that are missing or cannot be read')
    parser.add_argument('--workers', type=int, default=1, help='processes (default: %(default)s)')
    add_config_options(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, pair the files, score, write."""
    args = parse_args(arguments)
    setup_environment()
    register_all_modules()
    if args.workers < 1:
        raise ValueError(f'--workers must be at least 1, got {args.workers}')
    convention_of(args.convention)  # before any file is read
    rules = ScoreRules(tuple(args.scores), read_tolerance(args.tolerance), args.convention, args.surface, args.means)
    metainfo = dict(
        classes=args.classes,
        reported=args.reported,
        regions={name: members.split(',') for name, members in pairs(args.regions, '--regions').items()},
        label_map=read_map(args.label_map, '--label-map'),
    )
    config = load_config(args.config, args.cfg_options, safe=args.safe) if args.config else None
    truth = find_truth(args.truth, config=config, split=args.split, metainfo=metainfo)
    require_writable(args.out, '--out')
    prediction_map = read_map(args.prediction_map, '--prediction-map')
    how = Rescoring(rules, prediction_map, args.resample, args.partial, args.workers)
    predictions = label_files(args.predictions)
    probabilities = label_files(args.probabilities) if args.probabilities else {}
    if probabilities:
        check_probabilities(probabilities, truth, [case for case in truth.files if case in predictions])
    results = rescore(predictions, truth, how)
    if probabilities:
        cases = [case['case'] for case in results['cases']]
        results['reliability'] = judge_probabilities(probabilities, truth, cases, workers=args.workers)
    print_table(results, title=f'{len(results["cases"])} cases')
    for part, scores in results.get('reliability', {}).get('mean', {}).items():
        print(f'{part}: ' + ', '.join(f'{name} {value:.4g}' for name, value in scores.items() if name != 'voxels'))
    write_results(args.out, results)
    for what in ('missing', 'extra', 'resampled', 'failed'):
        if names := list(results['files'][what]):
            print(f'{what}: {len(names)} cases: {few(names)}', file=sys.stderr)
    print(f'done: results.json and per_case.csv lie in {args.out.resolve()}')
    if failed := results['files']['failed']:
        sys.exit('\n'.join(failed.values()))


def pairs(given: list[str] | None, option: str) -> dict[str, str]:
    """``NAME=VALUE`` words as a dictionary.

    Raises:
        ValueError: A word has no ``=``, or a name comes twice.
    """
    found: dict[str, str] = {}
    for word in given or ():
        name, sign, value = word.partition('=')
        if not sign or not name or not value or name in found:
            raise ValueError(f'{option} must be NAME=VALUE, each name once, got {word!r}')
        found[name] = value
    return found


def read_map(given: list[str] | None, option: str) -> dict[int, int]:
    """``OLD=NEW`` words as ids."""
    try:
        return {int(old): int(new) for old, new in pairs(given, option).items()}
    except ValueError as error:
        raise ValueError(f'{option} must be whole numbers, OLD=NEW: {error}') from error


def read_tolerance(given: list[str]) -> float | dict[str, float]:
    """One number, or a number for every class."""
    try:
        if len(given) == 1 and '=' not in given[0]:
            return float(given[0])
        return {name: float(value) for name, value in pairs(given, '--tolerance').items()}
    except ValueError as error:
        raise ValueError(f'--tolerance must be one number of mm, or CLASS=MM for every class: {error}') from error


if __name__ == '__main__':
    run_tool(main)

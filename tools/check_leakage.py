"""Did the pretraining see what a config scores? Compared by the hashes of files and of voxels.

    python tools/check_leakage.py weights/NAME-<sha8>.safetensors CONFIG ...
    python tools/check_leakage.py work_dirs/pretraining/data_manifest.json CONFIG --split test --out leaks.json

Ends with status 1 if an image of the pretraining is scored, naming the cases. tools/train.py asks the same of every
PretrainedWeights before it begins.
"""

from __future__ import annotations

import argparse
import json

from medctx3d.apis.leakage import SCORED, leaks, refuse_leaks
from medctx3d.engine.launch import open_config
from medctx3d.engine.weights import manifest_of
from medctx3d.utils.atomic import atomic_path
from medctx3d.utils.command_line import add_config_options, run_tool


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('pretraining', help='converted or published weights, a checkpoint, or a data_manifest.json')
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='configs whose splits are compared')
    parser.add_argument(
        '--split', nargs='+', choices=('train', *SCORED), default=list(SCORED), help='default: val test'
    )
    parser.add_argument('--out', metavar='FILE', help='write what is shared as JSON')
    parser.add_argument('--allow-leakage', action='store_true', help='report, but end with status 0')
    add_config_options(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, compare, report."""
    args = parse_args(arguments)
    seen = manifest_of(args.pretraining)
    if seen is None:
        raise ValueError(
            f'{args.pretraining} does not say which images it was trained on: write its list with '
            'tools/dataset/make_manifest.py and give that'
        )
    shared = {}
    for path in args.configs:
        for stage, found in leaks(seen, open_config(path, args.cfg_options, safe=args.safe), args.split).items():
            shared[f'{path} {stage}'] = found
    for place, found in shared.items():
        for one in found:
            print(
                f'{place}: {one.found.case} ({one.found.file}) is {one.seen.case} ({one.seen.file}): same {one.alike}'
            )
    if args.out:
        rows = {
            place: [dict(case=one.found.case, pretraining_case=one.seen.case, alike=one.alike) for one in found]
            for place, found in shared.items()
        }
        with atomic_path(args.out) as temporary:
            temporary.write_text(json.dumps(rows, indent=1), encoding='utf-8')
    if not args.allow_leakage:
        refuse_leaks(shared, args.pretraining)
    count = sum(map(len, shared.values()))
    print(f'done: {count} of the {len(seen)} images of the pretraining are scored')


if __name__ == '__main__':
    run_tool(main)

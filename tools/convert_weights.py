"""Convert pretrained weights, of this package or another, for the network of a config, and say what became of each.

    python tools/convert_weights.py VoCo_B_SSL_head.pt --to CONFIG --out weights
    python tools/convert_weights.py work_dirs/run/iter_9000.pth --to CONFIG --out weights --weights-of teacher
    python tools/convert_weights.py model.pt --to CONFIG --report report.json            (look, write no weights)

Every tensor is listed: matched, renamed, reshaped, new, missing, unused. A file that fills less than --min-coverage of
the encoder (or, with --part encoder_decoder, of the network) is refused and nothing is written. Written is
NAME-<sha8>.safetensors; its header is the passport: architecture, order of patch merging, spacing, window,
orientation, method, images of the pretraining by hash, source and its SHA-256. Checkpoints are read as
tensors and plain data only.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from medctx3d.engine.launch import open_config
from medctx3d.engine.weights import (
    MIN_COVERAGE,
    NAMINGS,
    CoverageError,
    WeightsReport,
    examine,
    manifest_of,
    read_source,
    target_of,
)
from medctx3d.export import STATED, passport, write_converted
from medctx3d.registry import MODELS
from medctx3d.utils.atomic import atomic_path, require_writable
from medctx3d.utils.command_line import add_config_options, run_tool
from medctx3d.utils.data_manifest import read_manifest


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    namings = '\n'.join(f'  {naming.name:<18} {naming.about}' for naming in NAMINGS.values())
    parser = argparse.ArgumentParser(
        description=f'{__doc__}\nnamings for --from:\n{namings}', formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('file', help='weights: .pt, .pth or .safetensors')
    parser.add_argument('--to', required=True, metavar='CONFIG', help='config of the network that is to get them')
    parser.add_argument('--out', metavar='DIR', help='folder for the converted weights')
    parser.add_argument('--name', help='of the converted weights (default: name of the file)')
    parser.add_argument('--part', choices=('encoder', 'encoder_decoder'), default='encoder', help='default: encoder')
    parser.add_argument('--from', dest='source', default='auto', choices=('auto', *NAMINGS), metavar='NAMING')
    parser.add_argument('--weights-of', choices=('student', 'teacher'), help='whose, where the file holds both')
    parser.add_argument(
        '--min-coverage', type=float, default=MIN_COVERAGE, help=f'smallest share, in 0..1 (default: {MIN_COVERAGE})'
    )
    parser.add_argument(
        '--patch-merging',
        choices=('current', 'legacy', 'lexicographic'),
        help='order that the weights were trained with, where the file does not say',
    )
    parser.add_argument(
        '--leave-out',
        nargs='+',
        default=[],
        metavar='NAME',
        help='tensors of the network that start anew; * for any part',
    )
    parser.add_argument('--interpolate', action='store_true', help='bring tables of positions to the grid here')
    parser.add_argument('--manifest', metavar='FILE', help='data_manifest.json of the pretraining')
    parser.add_argument(
        '--state',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help=f'what you know of the pretraining; keys: {", ".join(STATED)}; values as JSON or text',
    )
    parser.add_argument('--report', metavar='FILE', help='write the report as JSON')
    add_config_options(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, examine, report, write."""
    args = parse_args(arguments)
    stated = _statements(args.state)
    config = open_config(args.to, args.cfg_options, safe=args.safe)
    images = read_manifest(args.manifest) if args.manifest else manifest_of(args.file)
    source = read_source(args.file, source=args.source, weights_of=args.weights_of)
    target = target_of(MODELS.build(config.model))
    try:
        weights, report = examine(
            source,
            target,
            part=args.part,
            min_coverage=args.min_coverage,
            patch_merging=args.patch_merging,
            leave_out=args.leave_out,
            interpolate=args.interpolate,
        )
    except CoverageError as error:
        _tell(error.report, None)
        raise
    _tell(report, args.report)
    if not args.out:
        print('no weights written: give --out DIR')
        return
    folder = require_writable(args.out, '--out')
    facts = passport(source, report, config, network=target.module, images=images, stated=stated)
    path, digest = write_converted(folder, args.name or Path(args.file).stem, weights, target, facts)
    if images is None:
        print('the images of the pretraining are not known, so nobody can be told of leakage: --manifest names them')
    print(f'SHA-256: {digest}')
    print(f"done: init_cfg=dict(type='PretrainedWeights', checkpoint='{path}', part='{args.part}')")


def _tell(report: WeightsReport, path: str | None) -> None:
    report.show()
    if path:
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(report.as_dict(), indent=1), encoding='utf-8')


def _statements(pairs: list[str]) -> dict[str, Any]:
    """``KEY=VALUE`` of what is known of the pretraining."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition('=')
        if not equals or key not in STATED:
            raise ValueError(f'--state must be KEY=VALUE with KEY one of {", ".join(STATED)}, got {pair!r}')
        try:
            found[key] = json.loads(value)
        except json.JSONDecodeError:
            found[key] = value
    return found


if __name__ == '__main__':
    run_tool(main)

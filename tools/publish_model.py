"""Publish a trained model: strip it to what predicts, with a page about it.

    python tools/publish_model.py CONFIG CHECKPOINT --out published/liver
    python tools/publish_model.py CONFIG CHECKPOINT --out published/liver --predict-with teacher --licence CC-BY-4.0

Written are NAME-<sha8>.safetensors (weights of the student, or of the teacher in its place), NAME.py (a config that
predicts and names no place on this machine) and metafile.yml. The pair goes wherever a config and a checkpoint go:

    python tools/infer.py published/liver/NAME.py published/liver/NAME-<sha8>.safetensors scans/ --out segmentations
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from torch import nn

from medctx3d.apis.inference_dataset import inference_dataset
from medctx3d.engine.launch import open_config
from medctx3d.engine.weights import manifest_of, merge_order
from medctx3d.export import deployed_config, deployed_weights, describe, publish
from medctx3d.registry import MODELS
from medctx3d.utils.command_line import add_config_options, run_tool
from medctx3d.utils.data_manifest import as_rows


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file that the model was trained with')
    parser.add_argument('checkpoint', help='.pth file, such as work_dirs/<run>/iter_30000.pth')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for the three files')
    parser.add_argument('--name', help='of the model (default: name of the config)')
    parser.add_argument(
        '--predict-with', choices=('student', 'teacher'), help='whose weights (default: as the config predicts)'
    )
    parser.add_argument('--results', metavar='FILE', help='results.json of a test, whose means are copied')
    parser.add_argument('--licence', default='not stated', help='under which the weights may be used')
    add_config_options(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, strip, write."""
    args = parse_args(arguments)
    config = open_config(args.config, args.cfg_options, safe=args.safe)
    results = json.loads(Path(args.results).read_text(encoding='utf-8')) if args.results else None
    metainfo = inference_dataset(config).metainfo
    predict_with = args.predict_with or (config.model.get('test_cfg') or {}).get('predict_with', 'student')
    stripped = deployed_config(config, metainfo)
    weights = deployed_weights(stripped, args.checkpoint, predict_with=predict_with)
    model = MODELS.build(stripped.model)
    model.load_state_dict(weights)
    facts = dict(
        describe(model.network, config, metainfo), predict_with=predict_with, **_passport(args, model.network)
    )
    published = publish(
        stripped,
        weights,
        facts,
        name=args.name or Path(args.config).stem,
        out=args.out,
        results=results,
        licence=args.licence,
    )
    print(f'weights of the {predict_with}: {published.weights} ({published.weights.stat().st_size / 2**20:.1f} MiB)')
    print(f'SHA-256: {published.sha256}')
    print(f'done: {published.config} and {published.metafile}; see tools/infer.py --help')


def _passport(args: argparse.Namespace, network: nn.Module) -> dict[str, Any]:
    """What those need who go on training from these weights."""
    order, images = merge_order(network), manifest_of(args.checkpoint)
    found = dict(patch_merging=order, data_manifest=None if images is None else as_rows(images))
    return {key: value for key, value in found.items() if value is not None}


if __name__ == '__main__':
    run_tool(main)

"""Export the deployed network as a graph, or with all around it as a MONAI bundle.

    python tools/export_model.py CONFIG CHECKPOINT --format onnx --out liver.onnx
    python tools/export_model.py CONFIG CHECKPOINT --format torch-export --out liver.pt2 --predict-with teacher
    python tools/export_model.py CONFIG CHECKPOINT --format torchscript --out liver.ts
    python tools/export_model.py CONFIG CHECKPOINT --format monai-bundle --out bundles/liver

A graph takes windows (N, C, X, Y, Z) float32 of the size in model.inferer.roi_size, any N, and answers the finest
logits (N, K, X, Y, Z). It is run again from the file and must agree with the network. Classes, channels, spacing,
orientation, intensities, window, versions and the SHA-256 of the weights are in the file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from medctx3d.apis import init_model
from medctx3d.apis.inference_dataset import inference_dataset
from medctx3d.engine.launch import open_config
from medctx3d.export import DeployedNetwork, describe, export_bundle, export_graph
from medctx3d.export.graph_export import TOLERANCE
from medctx3d.export.graph_formats import FORMATS
from medctx3d.utils.command_line import add_config_options, run_tool

BUNDLE = 'monai-bundle'


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file that the model was trained with')
    parser.add_argument('checkpoint', help='.pth file, or published .safetensors file')
    parser.add_argument('--format', required=True, choices=(*FORMATS, BUNDLE), help='what is written')
    parser.add_argument('--out', required=True, metavar='PATH', help='file, or folder of the bundle')
    parser.add_argument(
        '--predict-with', choices=('student', 'teacher'), help='whose weights (default: as the config predicts)'
    )
    parser.add_argument(
        '--tolerance',
        type=float,
        default=TOLERANCE,
        help=f'largest difference of logits, as a fraction of the largest (default: {TOLERANCE:g})',
    )
    parser.add_argument('--licence', default='not stated', help='under which the weights may be used (bundle)')
    add_config_options(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, load, export, say how far the export is from the network."""
    args = parse_args(arguments)
    config = open_config(args.config, args.cfg_options, safe=args.safe)
    if args.predict_with:
        config.model.test_cfg = dict(config.model.get('test_cfg') or {}, predict_with=args.predict_with)
    model = init_model(config, args.checkpoint, device='cpu')
    network = DeployedNetwork(model)
    facts = describe(network.network, config, inference_dataset(config).metainfo)
    facts['predict_with'] = getattr(model, 'predict_with', 'student')
    if args.format == BUNDLE:
        name = Path(args.config).stem
        parity = export_bundle(
            network, args.out, name=name, config=config, facts=facts, licence=args.licence, tolerance=args.tolerance
        )
    else:
        parity = export_graph(
            network,
            args.out,
            format=args.format,
            channels=len(facts['channels']),
            window=tuple(facts['window']),
            metadata=facts,
            tolerance=args.tolerance,
        )
    print(f'largest difference of logits: {parity.difference:.3g}, logits up to {parity.logits:.3g}')
    print(f'SHA-256 of the weights: {facts["weights_sha256"]}')
    print(f'done: the {facts["predict_with"]} as {args.format} in {args.out}')


if __name__ == '__main__':
    run_tool(main)

"""Write down which images a training sees, by the hashes of files and of voxels.

    python tools/dataset/make_manifest.py CONFIG --out data_manifest.json
    python tools/dataset/make_manifest.py CONFIG --split train val --out data_manifest.json

Pretraining configs write it themselves (DataManifestHook). tools/convert_weights.py puts it into the header of
weights, and tools/check_leakage.py compares it with test splits.
"""

from __future__ import annotations

import argparse

from medctx3d.apis.leakage import split_images
from medctx3d.engine.launch import open_config
from medctx3d.utils.command_line import add_config_options, run_tool
from medctx3d.utils.data_manifest import write_manifest


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of the training')
    parser.add_argument(
        '--split', nargs='+', choices=('train', 'val', 'test'), default=['train'], help='default: train'
    )
    parser.add_argument('--out', required=True, metavar='FILE', help='the manifest, JSON')
    add_config_options(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, hash, write."""
    args = parse_args(arguments)
    config = open_config(args.config, args.cfg_options, safe=args.safe)
    images = [image for stage in args.split for image in split_images(config, stage)]
    write_manifest(args.out, images)
    print(f'done: {len(images)} images in {args.out}')


if __name__ == '__main__':
    run_tool(main)

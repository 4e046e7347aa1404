"""Segment volumes with a trained model.

    python tools/infer.py CONFIG CHECKPOINT scan.nii.gz --out segmentations
    python tools/infer.py CONFIG CHECKPOINT scans/ more/scan7.nii.gz --out segmentations --overlay

Inputs are NIfTI files, or folders whose .nii and .nii.gz files are all taken. A model of several channels takes files
<case>_0000.nii.gz, <case>_0001.nii.gz, ... as one case, or one file with the channels in its last axis.

Each result, OUT/<case>.nii.gz, holds the class ids of the config and lies on its image's grid: same voxels, same
affine, same qform and sform. With --overlay, OUT/overlays/<case>.png shows three planes with the organs filled.
"""

from __future__ import annotations

import argparse
import os

from medctx3d.apis import VolumeInferencer, init_model
from medctx3d.apis.config_consistency import check_consistency
from medctx3d.engine.launch import load_config
from medctx3d.registry import register_all_modules
from medctx3d.utils.command_line import ConfigOption, run_tool
from medctx3d.utils.config_check import check_config
from medctx3d.utils.setup_env import setup_environment


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file that the model was trained with')
    parser.add_argument('checkpoint', help='.pth file, such as work_dirs/<run>/iter_30000.pth')
    parser.add_argument('inputs', nargs='+', metavar='INPUT', help='NIfTI file, or folder of NIfTI files')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for the results; not one with inputs')
    parser.add_argument('--device', help='such as cuda:0 or cpu (default: the first accelerator, else the CPU)')
    parser.add_argument('--overlay', action='store_true', help='also draw a picture of each case')
    parser.add_argument(
        '--cfg-options', nargs='+', action=ConfigOption, metavar='KEY=VALUE', help='overrides of config values'
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, load the model, segment."""
    args = parse_args(arguments)
    setup_environment()
    register_all_modules()
    config = load_config(args.config, args.cfg_options)
    check_config(config)
    check_consistency(config, ['test' if config.get('test_dataloader') else 'val'])
    inferencer = VolumeInferencer(init_model(config, args.checkpoint, device=args.device))
    written = inferencer(args.inputs, args.out, overlay=args.overlay)
    names = inferencer.metainfo.get('classes') or ()
    if len(names) > 1:
        print('class ids:', ', '.join(f'{label} {name}' for label, name in enumerate(names) if label))
    count = f'{len(written)} segmentation{"s" if len(written) > 1 else ""}'
    where = os.path.abspath(args.out)
    print(f'done: {count} in {where}' + (f', pictures in {os.path.join(where, "overlays")}' if args.overlay else ''))


if __name__ == '__main__':
    run_tool(main)

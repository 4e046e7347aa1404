"""Segment volumes with a trained model.

    python tools/infer.py CONFIG CHECKPOINT scan.nii.gz --out segmentations
    python tools/infer.py CONFIG CHECKPOINT scans/ more/scan7.nrrd dicom/ 'all/*/ct.mha' list.txt --out segmentations

Inputs are volume files (NIfTI, NRRD, MetaImage), folders with the slices of one DICOM series, folders of either,
quoted patterns, .txt lists with one of these per line, and .json lists. A model of several channels takes files
<case>_0000.nii.gz, <case>_0001.nii.gz, ... as one case, or one file with the channels in its last axis.

Each result, OUT/<case>.<the image's own suffix>, holds the class ids of the config and lies on its image's grid: same
voxels, same affine, same qform and sform. DICOM gives .nii.gz. With --overlay, OUT/overlays/<case>.png shows three
planes with the organs filled. OUT/inference.json says what was made how.

Called again with the same model and folder, finished cases are kept. Several calls with one folder, also on several
machines, share the work. A case that cannot be read or segmented is reported and left out; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import os
from typing import get_args

from medctx3d.apis import InferenceSummary, VolumeInferencer
from medctx3d.apis.config_consistency import check_consistency
from medctx3d.apis.inferencer import Extra
from medctx3d.engine.launch import open_config
from medctx3d.inference.options import Average, Networks, Precision, PredictionOptions, Resample
from medctx3d.utils.command_line import add_config_options, run_tool
from medctx3d.utils.grid_file import WRITTEN_SUFFIXES
from medctx3d.utils.sizes import parse_size


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file that the model was trained with')
    parser.add_argument('checkpoint', help='.pth file, such as work_dirs/<run>/iter_30000.pth')
    parser.add_argument('inputs', nargs='+', metavar='INPUT', help='volume, folder, pattern or list; see above')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for the results; not one with inputs')
    parser.add_argument('--format', choices=WRITTEN_SUFFIXES, help='of the results (default: that of each image)')
    parser.add_argument('--split', default='test', help='cases of a .json data list that are taken (default: test)')
    parser.add_argument('--overwrite', action='store_true', help='replace what another model or other options left')
    parser.add_argument('--workers', type=int, default=1, metavar='N', help='processes, on one GPU each (default: 1)')
    parser.add_argument('--device', help='such as cuda:0 or cpu (default: the first accelerator, else the CPU)')
    add_config_options(parser)
    beside = parser.add_argument_group('written beside the labels')
    beside.add_argument('--overlay', action='store_true', help='a picture of each case')
    beside.add_argument(
        '--save-probabilities', action='store_true', help='of every class: OUT/probabilities/<case>.nii'
    )
    beside.add_argument('--save-entropy', action='store_true', help='uncertainty in nats: OUT/entropy/<case>.nii')
    _add_options(parser.add_argument_group('how to predict (default: as the config says)'))
    return parser.parse_args(arguments)


def _add_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--ensemble', nargs='+', default=[], metavar='CHECKPOINT', help='further ones that answer too')
    group.add_argument('--networks', choices=get_args(Networks), help='which of a training with a teacher answer')
    group.add_argument(
        '--mirror', type=_axes, default=(), metavar='AXES', help='average over mirrors: x, xy, xyz, ...'
    )
    group.add_argument('--average', choices=get_args(Average), default='softmax', help='what is averaged')
    group.add_argument('--precision', choices=get_args(Precision), default='float32', help='of the network')
    group.add_argument('--compile', action='store_true', help='compile the network first; pays for many cases')
    group.add_argument('--max-memory', type=_size, metavar='SIZE', help='bound on host and device each, such as 4GB')
    group.add_argument('--overlap', type=float, metavar='PART', help='of a window that its neighbour shares, 0 to 1')
    group.add_argument('--skip-air', action='store_true', help='leave out windows of nothing but air')
    group.add_argument('--resample', choices=get_args(Resample), help='what is brought to the grid of the image')


def _axes(text: str) -> tuple[int, ...]:
    if not set(text) <= set('xyz'):
        raise argparse.ArgumentTypeError(f'must be some of the letters x, y and z, got {text!r}')
    return tuple('xyz'.index(letter) for letter in text)


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def read_options(args: argparse.Namespace) -> PredictionOptions:
    """What the command line asks for beyond the config."""
    same = ('average', 'precision', 'compile', 'max_memory', 'overlap', 'skip_air', 'networks', 'resample')
    return PredictionOptions(mirror_axes=args.mirror, **{name: getattr(args, name) for name in same})


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, load the model, segment."""
    args = parse_args(arguments)
    config = open_config(args.config, args.cfg_options, safe=args.safe)
    check_consistency(config, ['test' if config.get('test_dataloader') else 'val'])
    weights = [args.checkpoint, *args.ensemble]
    inferencer = VolumeInferencer(config, weights, device=args.device, options=read_options(args))
    extras: dict[Extra, bool] = dict(
        overlay=args.overlay, probabilities=args.save_probabilities, entropy=args.save_entropy
    )
    summary = inferencer(
        args.inputs,
        args.out,
        split=args.split,
        suffix=args.format,
        extras=[name for name, asked in extras.items() if asked],
        overwrite=args.overwrite,
        workers=args.workers,
    )
    names = inferencer.metainfo.get('classes') or ()
    if len(names) > 1:
        print('class ids:', ', '.join(f'{label} {name}' for label, name in enumerate(names) if label))
    print(told(summary, args.out, overlay=args.overlay))
    if summary.failed:
        shown = '; '.join(f'{name} ({reason})' for name, reason in list(summary.failed.items())[:5])
        more = f'; and {len(summary.failed) - 5} more' if len(summary.failed) > 5 else ''
        raise ValueError(f'{len(summary.failed)} of {summary.total} cases have no segmentation: {shown}{more}')


def told(summary: InferenceSummary, out: str, *, overlay: bool) -> str:
    """What was done, in a line."""
    count = len(summary.written)
    line = f'done: {count} segmentation{"" if count == 1 else "s"} in {os.path.abspath(out)}'
    line += f', {len(summary.kept)} more were there' if summary.kept else ''
    line += f', {len(summary.elsewhere)} in the works elsewhere' if summary.elsewhere else ''
    return line + (f', pictures in {os.path.join(os.path.abspath(out), "overlays")}' if overlay else '')


if __name__ == '__main__':
    run_tool(main)

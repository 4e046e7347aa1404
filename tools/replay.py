"""Run again the training step that a NaN or infinity ended.

    python tools/replay.py CONFIG work_dirs/run/nonfinite/iter_412_rank_0.pth

Says where finite numbers first became others: in an image, a module, a loss term, or a module's gradient.
"""

from __future__ import annotations

import argparse

import torch

from medctx3d.engine.checkpoint import CheckpointError, load_checkpoint_file
from medctx3d.engine.launch import open_config
from medctx3d.engine.nonfinite import find_first, seed_step
from medctx3d.registry import MODELS
from medctx3d.structures import VolumeData, VolumeDataSample
from medctx3d.utils.command_line import add_config_options, run_tool

KEYS = ('state_dict', 'ramps', 'autocast', 'seed', 'iter', 'inputs', 'labels', 'cases', 'draws')


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file of the training, with the same --cfg-options')
    parser.add_argument('file', help='written by NonFiniteHook, WORK_DIR/nonfinite/iter_*.pth')
    add_config_options(parser)
    return parser.parse_args()


def main() -> None:
    """Read the command line, run the step, say what was found."""
    args = parse_args()
    config = open_config(args.config, args.cfg_options, safe=args.safe)
    record = load_checkpoint_file(args.file)
    lacking = [key for key in KEYS if key not in record]
    if lacking:
        raise CheckpointError(
            f'{args.file} is no replay file, it lacks {", ".join(lacking)}: look in WORK_DIR/nonfinite'
        )
    model = MODELS.build(config.model)
    model.load_state_dict(record['state_dict'])
    model.train()
    for name, ramp in record['ramps'].items():
        model.ramp_auxiliary(name, ramp)
    samples = []
    for case, label in zip(record['cases'], record['labels'], strict=True):
        samples.append(VolumeDataSample(metainfo=dict(case=case)))
        if label is not None:
            samples[-1].gt_sem_seg = VolumeData(data=label)
    for case, draw, volume in zip(record['cases'], record['draws'], record['inputs'], strict=True):
        finite = volume[torch.isfinite(volume)]
        extent = f'{finite.min():.4g} to {finite.max():.4g}' if finite.numel() else 'no finite value'
        print(f'case {case}, draw {draw}: {tuple(volume.shape)}, {extent}')
    seed_step(record['seed'], record['iter'])
    half = record['autocast'] and torch.autocast('cpu', getattr(torch, record['autocast']))
    print(f'iteration {record["iter"] + 1}: {find_first(model, record["inputs"], samples, half or None)}')


if __name__ == '__main__':
    run_tool(main)

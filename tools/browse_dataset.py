"""Draw what the network will see: crops after loading and augmentation, labels filled, hidden cells striped.

    python tools/browse_dataset.py configs/medcontext/swinunetr_btcv.py --out browse
    python tools/browse_dataset.py CONFIG --out browse --split test --number 3

Each picture shows one draw in three planes, true to mm. In the training split every auxiliary head that hides cells
gets a picture of its own, with cells drawn from its masking strategy. Look for: labels on their organs, left and
right where they belong, intensities that use the range, augmentation that a scanner could have produced, a mask whose
cells are coarser than the organs' details.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from rich.progress import track

from medctx3d.datasets import VolumeDataset
from medctx3d.engine.launch import open_config
from medctx3d.models.masking.functional import cell_grid
from medctx3d.registry import DATASETS, MASKINGS
from medctx3d.structures import VolumeDataSample
from medctx3d.utils.atomic import require_writable
from medctx3d.utils.command_line import add_config_options, run_tool
from medctx3d.visualization import VolumeVisualizer

SPLITS = ('train', 'val', 'test')


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file, such as configs/medcontext/swinunetr_btcv.py')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for the pictures')
    parser.add_argument('--split', choices=SPLITS, default='train', help='whose dataloader (default: train)')
    parser.add_argument('--number', type=int, default=8, help='draws, spread over the cases (default: 8)')
    parser.add_argument('--channel', type=int, default=0, help='image channel to show (default: 0)')
    add_config_options(parser)
    args = parser.parse_args(arguments)
    if args.number < 1:
        parser.error(f'--number must be at least 1, got {args.number}')
    return args


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, build the data set, draw."""
    args = parse_args(arguments)
    config = open_config(args.config, args.cfg_options, safe=args.safe)
    require_writable(args.out, '--out')
    dataset = build_dataset(config, args.split)
    if not 0 <= args.channel < len(dataset.metainfo.get('channels') or ('image',)):
        raise ValueError(f'--channel {args.channel}: the data set has the channels {dataset.metainfo.get("channels")}')
    visualizer = VolumeVisualizer()
    visualizer.dataset_meta = dataset.metainfo
    heads = masking_heads(config) if args.split == 'train' else {}
    draws = np.unique(np.linspace(0, len(dataset) - 1, min(args.number, len(dataset))).round().astype(int))
    for draw in track(draws.tolist(), description='drawing'):
        packed = dataset[draw]
        sample, image = packed['data_samples'], packed['inputs'][args.channel]
        for suffix, mask in masks(heads, tuple(image.shape), sample, seed=draw):
            name = f'{draw:04d}_{sample.case}{suffix}'
            path = os.path.join(args.out, f'{name}.png')
            visualizer.add_datasample(name, image, sample, mask=mask, out_file=path)
    print(f'done: pictures of {len(draws)} draws lie in {os.path.abspath(args.out)}')


def build_dataset(config: Config, split: str) -> VolumeDataset:
    """The data set of one split, volumes prepared.

    Raises:
        ValueError: The config has no such dataloader.
    """
    loaders = [name for name in SPLITS if config.get(f'{name}_dataloader')]
    if split not in loaders:
        raise ValueError(
            f'--split {split}: the config has no {split}_dataloader; it has {", ".join(loaders) or "none"}'
        )
    return DATASETS.build(config[f'{split}_dataloader']['dataset'])


def masking_heads(config: Config) -> dict[str, ConfigDict]:
    """Auxiliary heads of the config that hide cells, by name."""
    heads = (config.get('model') or {}).get('auxiliary') or {}
    return {name: head for name, head in heads.items() if head.get('masking') and head.get('patch_size')}


def masks(
    heads: dict[str, ConfigDict], size: tuple[int, ...], sample: VolumeDataSample, *, seed: int
) -> Iterator[tuple[str, torch.Tensor | None]]:
    """For every head a suffix for the file and its cells (gx, gy, gz); one empty suffix and None without heads."""
    if not heads:
        yield '', None
    torch.manual_seed(seed)
    labels = sample.gt_sem_seg.data[None].long() if 'gt_sem_seg' in sample else None
    for name, head in heads.items():
        grid = cell_grid(size, tuple(head['patch_size']))
        yield f'_{name}', MASKINGS.build(head['masking'])(1, grid, labels=labels)[0]


if __name__ == '__main__':
    run_tool(main)

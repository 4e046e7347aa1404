"""Draw what Volume Fusion makes of a data set: both crops, the coefficients, the fused crop and the levels to find.

    python tools/show_fusion.py configs/volume_fusion/unet_head_neck.py --out fusion.png
    python tools/show_fusion.py CONFIG --out fusion.png --draws 3 7 --axis 1

One row per published sampling, with the numbers of the config for its own; one plane of the crops. Look for: boxes of
a size that a network can see context around, edges that do not follow the padding, crops that show different things.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from mmengine.config import Config

from medctx3d.engine.launch import open_config
from medctx3d.models.preprocessors import VolumeFusionPreprocessor
from medctx3d.models.preprocessors.level_maps import SAMPLINGS, build_sampling
from medctx3d.registry import DATASETS, MODELS
from medctx3d.utils.atomic import atomic_path, require_writable
from medctx3d.utils.command_line import add_config_options, run_tool

COLUMNS = ('background', 'foreground', 'coefficient', 'fused', 'level to find')
COLOURS = ('#1b1b1b', '#2f7ed8', '#2fbf4b', '#ffcc33', '#ff2d2d', '#9b5de5', '#ff8c1a', '#35c9ff')


class Fusion(NamedTuple):
    """One pair of crops and what became of it, planes of voxels.

    Attributes:
        background: Grey values.
        foreground: Grey values.
        fused: Grey values.
        levels: 0 to K.
    """

    background: np.ndarray
    foreground: np.ndarray
    fused: np.ndarray
    levels: np.ndarray


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of a pretraining, such as configs/volume_fusion/unet_head_neck.py')
    parser.add_argument('--out', required=True, metavar='FILE', help='the picture, .png')
    parser.add_argument('--draws', type=int, nargs=2, default=(0, 1), metavar='N', help='two draws (default: 0 1)')
    parser.add_argument('--axis', type=int, choices=(0, 1, 2), default=2, help='axis that is cut (default: 2, axial)')
    parser.add_argument('--seed', type=int, default=0, help='of the maps and views (default: 0)')
    add_config_options(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, fuse two draws by each sampling, draw."""
    args = parse_args(arguments)
    config = open_config(args.config, args.cfg_options, safe=args.safe)
    out = Path(args.out)
    require_writable(str(out.parent), '--out')
    preprocessor = fusion_of(config)
    dataset = DATASETS.build(config.train_dataloader.dataset)
    inputs = torch.stack([dataset[draw]['inputs'] for draw in args.draws])
    chosen = config.model.data_preprocessor.get('sampling', 'paper_boxes')
    own = chosen if isinstance(chosen, str) else chosen['name']
    rows = {}
    for name in SAMPLINGS:
        preprocessor.sampling = build_sampling(chosen if name == own else name)
        rows[name] = fuse(preprocessor, inputs, axis=args.axis, seed=args.seed)
    with atomic_path(out) as draft:
        figure = draw(rows, preprocessor.num_levels)
        figure.savefig(draft, format='png', dpi=130, facecolor='white')
    print(f'done: {os.path.abspath(out)}')


def fusion_of(config: Config) -> VolumeFusionPreprocessor:
    """The preprocessor of a config.

    Raises:
        ValueError: The config fuses nothing.
    """
    built = MODELS.build((config.get('model') or {}).get('data_preprocessor') or dict(type='VolumePreprocessor'))
    if not isinstance(built, VolumeFusionPreprocessor):
        raise ValueError(
            f'{config.filename} fuses nothing: its model.data_preprocessor must be VolumeFusionPreprocessor, got '
            f'{type(built).__name__}. Take a config of configs/volume_fusion'
        )
    return built


def fuse(preprocessor: VolumeFusionPreprocessor, inputs: torch.Tensor, *, axis: int, seed: int) -> Fusion:
    """Fuse two crops (2, C, X, Y, Z) and cut the first result in its middle."""
    torch.manual_seed(seed)
    background, foreground = preprocessor.pair(inputs)
    torch.manual_seed(seed)
    fused, levels = preprocessor.fuse(inputs)  # the same views, since they are drawn first

    def plane(volume: torch.Tensor) -> np.ndarray:
        cut = volume[0, 0].select(axis, volume.shape[2 + axis] // 2).numpy().T[::-1]
        return cut if axis == 0 else cut[:, ::-1]  # the patient's right is on the left

    return Fusion(plane(background), plane(foreground), plane(fused), plane(levels))


def draw(rows: dict[str, Fusion], num_levels: int) -> Figure:
    """One row per sampling."""
    height, width = next(iter(rows.values())).fused.shape
    figure = Figure(
        figsize=(2.4 * len(COLUMNS), (2.4 * height / width + 0.25) * len(rows) + 0.2), layout='constrained'
    )
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), len(COLUMNS), squeeze=False)
    colours = ListedColormap([COLOURS[level % len(COLOURS)] for level in range(num_levels + 1)])
    for (name, fusion), axes in zip(rows.items(), grid, strict=True):
        low, high = np.percentile(np.stack([fusion.background, fusion.foreground]), [1, 99])
        grey = dict(cmap='gray', vmin=low, vmax=max(high, low + 1e-6))
        axes[0].imshow(fusion.background, **grey)
        axes[1].imshow(fusion.foreground, **grey)
        axes[2].imshow(fusion.levels / num_levels, cmap='gray', vmin=0, vmax=1)
        axes[3].imshow(fusion.fused, **grey)
        shown = axes[4].imshow(fusion.levels, cmap=colours, vmin=-0.5, vmax=num_levels + 0.5)
        figure.colorbar(shown, ax=axes[4], ticks=range(num_levels + 1), shrink=0.9)
        axes[0].set_ylabel(name)
        for axis in axes:
            axis.set_xticks([])
            axis.set_yticks([])
    for axis, title in zip(grid[0], COLUMNS, strict=True):
        axis.set_title(title, fontsize=10)
    return figure


if __name__ == '__main__':
    run_tool(main)

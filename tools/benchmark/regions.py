"""How long does it take to divide one abdominal CT into regions, on one core?

Generates a volume of 256x256x128 voxels (1.5 x 1.5 x 2 mm) with the 13 ellipsoids of tools/benchmark/metrics.py as
organs and noise of 25 HU, and grows regions in 3D with the defaults of tools/dataset/superpixels.py, all of it body.
Compiling, which happens once per machine, is timed apart. --slices also times a few slices in 2D.

The last line is JSON: wall_s and cpu_s, medians over the repeats, compile_s, the number of regions, the peak memory in
MB, the load of the machine, and with --slices wall_s_per_slice_2d.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time

import numpy as np
from metrics import draw
from scipy import ndimage

from medctx3d.datasets.regions import GROWTH, PRESETS, RegionSettings, grow_regions
from medctx3d.utils.command_line import run_tool
from medctx3d.utils.process_memory import peak_memory

SHAPE, SPACING = (256, 256, 128), (1.5, 1.5, 2.0)


def volume(shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """Soft tissue of 40 HU, organs 15 HU apart from each other, noise smoothed as a scanner's filter does."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 0.7)
    image: np.ndarray = 40 + 15 * draw(shape, predicted=False) + noise * (25 / noise.std())
    return image


def settings(mode: str) -> RegionSettings:
    """The tool's defaults for CT, without a body mask."""
    return RegionSettings(mode=mode, **{**PRESETS['ct'], **GROWTH[mode], 'body_above': None})  # type: ignore[arg-type]


def main() -> None:
    """Generate, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--repeats', type=int, default=3, help='timed calls (default: %(default)s)')
    parser.add_argument('--shape', type=int, nargs=3, default=SHAPE, metavar=('X', 'Y', 'Z'), help='voxels')
    parser.add_argument('--slices', type=int, default=0, metavar='N', help='slices to grow in 2D as well (default: 0)')
    arguments = parser.parse_args()
    affine, image = np.diag([*SPACING, 1.0]), volume(tuple(arguments.shape))
    start = time.perf_counter()
    grow_regions(image[:4, :4, :4], affine, settings('3d'))
    compiling = time.perf_counter() - start
    wall, cpu, count = [], [], 0
    for _ in range(arguments.repeats):
        start, busy = time.perf_counter(), time.process_time()
        count = int(grow_regions(image, affine, settings('3d')).max())
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - busy)
    figures = dict(
        voxels=int(image.size),
        wall_s=round(statistics.median(wall), 2),
        cpu_s=round(statistics.median(cpu), 2),
        compile_s=round(compiling, 2),
        regions=count,
        peak_mb=round(peak_memory() / 1e6),
        load_1min=round(os.getloadavg()[0], 2) if hasattr(os, 'getloadavg') else None,
    )
    if arguments.slices:
        start = time.perf_counter()
        grow_regions(image[..., : arguments.slices], affine, settings('2d'))
        figures['wall_s_per_slice_2d'] = round((time.perf_counter() - start) / arguments.slices, 3)
    print(json.dumps(figures))


if __name__ == '__main__':
    run_tool(main)

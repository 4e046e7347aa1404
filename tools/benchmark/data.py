"""How fast do balanced 96^3 crops come from a prepared volume?

Writes a CT-like volume of 512x512x128 voxels with 13 boxes for organs into a temporary folder, prepares it, and times
crops on one thread: PreparedStore with ForegroundCrop, and MONAI's PersistentDataset with RandCropByPosNegLabeld,
once as it is usually written and once with the voxel indices of FgBgToIndicesd in its cache. All keep the same float16
image and uint8 label and give a float32 crop. A smaller volume shows whether our time depends on the volume's size.

The last line is JSON: ratio (our crops per second to MONAI's), monai_indexed_ratio (with cached indices), both
rates, and flatness, our time per crop from the large volume divided by that from the small one.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from monai.data import PersistentDataset
from monai.utils import set_determinism
from rich.console import Console
from rich.table import Table

from medctx3d.datasets import PreparedStore
from medctx3d.datasets.pipeline import build_pipeline
from medctx3d.datasets.transforms import ForegroundCrop
from medctx3d.utils.command_line import run_tool

ORGANS = 13
METAINFO = dict(classes=('background', *(f'organ {number}' for number in range(1, ORGANS + 1))), channels=('image',))
LARGE, SMALL = (512, 512, 128), (256, 256, 128)  # the crop must fit alike into both: padding is other work
LOAD: list[dict] = [
    dict(type='LoadVolume'),
    dict(
        type='monai.transforms.ScaleIntensityRanged',
        keys=['image'],
        a_min=-175,
        a_max=250,
        b_min=0.0,
        b_max=1.0,
        clip=True,
    ),
]


def write_volume(folder: Path, shape: tuple[int, int, int], seed: int) -> dict[str, str]:
    """Write a noise image and boxes of 13 classes as NIfTI, (X, Y, Z) voxels; gives the record."""
    rng = np.random.default_rng(seed)
    image = rng.integers(-1000, 1000, shape, dtype=np.int16)
    label = np.zeros(shape, np.uint8)
    for organ in range(1, ORGANS + 1):
        edges = [n // 6 for n in shape]
        x, y, z = (int(rng.integers(0, n - edge)) for n, edge in zip(shape, edges, strict=True))
        label[x : x + edges[0], y : y + edges[1], z : z + edges[2]] = organ
    record = dict(case='x'.join(map(str, shape)))
    for name, array in (('image', image), ('label', label)):
        record[name] = str(folder / f'{record["case"]}_{name}.nii')
        nib.save(nib.Nifti1Image(array, np.diag((0.8, 0.8, 3.0, 1.0))), record[name])
    return record


def seconds_per_crop(crop: Callable[[], torch.Tensor], count: int) -> float:
    """Mean over ``count`` crops, after two to warm up."""
    for _ in range(2):
        image = crop()
        if image.dtype != torch.float32:
            raise TypeError(f'a crop must be float32 to count, got {image.dtype}')
    start = time.perf_counter()
    for _ in range(count):
        crop()
    return (time.perf_counter() - start) / count


def time_store(folder: Path, record: dict[str, str], size: int, count: int) -> float:
    """Seconds per crop from our store."""
    store = PreparedStore(str(folder / 'store'), num_workers=0)
    store.prepare([record], LOAD, METAINFO, progress=False)
    transform = ForegroundCrop((size, size, size))
    transform.set_random_state(0)
    return seconds_per_crop(lambda: transform(store.open(record))['image'], count)


def time_monai(folder: Path, record: dict[str, str], size: int, count: int, *, indexed: bool) -> float:
    """Seconds per crop from MONAI's cache on disk, with the foreground's indices in it or not."""
    keys = ['image', 'label']
    crop = dict(type='monai.transforms.RandCropByPosNegLabeld', keys=keys, label_key='label', num_samples=1)
    steps = [*LOAD, dict(type='monai.transforms.CastToTyped', keys=keys, dtype=[torch.float16, torch.uint8])]
    if indexed:
        steps.append(dict(type='monai.transforms.FgBgToIndicesd', keys=['label']))
        crop.update(fg_indices_key='label_fg_indices', bg_indices_key='label_bg_indices')
    steps.append(dict(crop, spatial_size=(size, size, size)))
    steps.append(dict(type='monai.transforms.CastToTyped', keys=['image'], dtype=torch.float32))
    set_determinism(0)
    cache = folder / ('monai_indexed' if indexed else 'monai')
    dataset = PersistentDataset([record], build_pipeline(steps, METAINFO), cache_dir=cache)
    seconds = seconds_per_crop(lambda: dataset[0][0]['image'], count)
    shutil.rmtree(cache)
    return seconds


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--crops', type=int, default=200, help='crops timed with our store (default: %(default)s)')
    parser.add_argument('--monai-crops', type=int, default=10, help='crops timed with MONAI (default: %(default)s)')
    parser.add_argument('--size', type=int, default=96, help='edge of the crop in voxels (default: %(default)s)')
    parser.add_argument('--shape', type=int, nargs=3, default=LARGE, metavar=('X', 'Y', 'Z'), help='voxels')
    parser.add_argument('--small-shape', type=int, nargs=3, default=SMALL, metavar=('X', 'Y', 'Z'), help='voxels')
    parser.add_argument('--seed', type=int, default=0, help='of the volumes (default: %(default)s)')
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    large, small = tuple(arguments.shape), tuple(arguments.small_shape)
    with tempfile.TemporaryDirectory(prefix='medctx3d_benchmark_') as name:
        folder = Path(name)
        records = {shape: write_volume(folder, shape, arguments.seed) for shape in (large, small)}
        ours = time_store(folder, records[large], arguments.size, arguments.crops)
        ours_small = time_store(folder, records[small], arguments.size, arguments.crops)
        monai, indexed = (
            time_monai(folder, records[large], arguments.size, arguments.monai_crops, indexed=indexed)
            for indexed in (False, True)
        )
    table = Table(title=f'{arguments.size}^3 balanced crops, one thread')
    for heading in ('source', 'volume', 'ms per crop', 'crops/s'):
        table.add_column(heading, justify='left' if heading in ('source', 'volume') else 'right', no_wrap=True)
    for source, shape, seconds in (
        ('medctx3d PreparedStore', large, ours),
        ('medctx3d PreparedStore', small, ours_small),
        ('MONAI PersistentDataset', large, monai),
        ('the same, indices cached', large, indexed),
    ):
        table.add_row(source, 'x'.join(map(str, shape)), f'{seconds * 1e3:.2f}', f'{1 / seconds:.1f}')
    Console().print(table)
    figures = dict(
        ratio=monai / ours,
        monai_indexed_ratio=indexed / ours,
        ours_crops_per_s=1 / ours,
        monai_crops_per_s=1 / monai,
        flatness=ours / ours_small,
    )
    print(json.dumps({key: round(value, 3) for key, value in figures.items()}))


if __name__ == '__main__':
    run_tool(main)

"""Divide volumes into regions (super-pixels, super-voxels) by Felzenszwalb's algorithm, for contrasts of regions."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from medctx3d.datasets.checks import Record, check_cases, image_paths
from medctx3d.datasets.datalist import decathlon_metainfo, decathlon_records, read_json
from medctx3d.datasets.regions import GROWTH, PRESETS, RegionSettings, make_maps, plan_maps
from medctx3d.datasets.regions.make import Job, read_channel
from medctx3d.datasets.regions.region_map import BESIDE, read_sidecar
from medctx3d.engine.launch import open_config
from medctx3d.registry import DATASETS
from medctx3d.utils.atomic import atomic_path, require_writable
from medctx3d.utils.command_line import add_config_options, run_tool
from medctx3d.utils.input_paths import expand_input
from medctx3d.utils.volume_file import read_header, read_volume
from medctx3d.visualization import draw_regions
from medctx3d.visualization.volume_visualizer import write_picture

EPILOG = """\
what is written
  <case>.nii.gz   ids from 1 on the image's grid, 0 outside the body; in 2D no id occurs in two slices
  <case>.json     how it was made and of which image: a map that no longer fits is refused when it is used
  summary.csv     number and size of regions and, where there are labels, their purity, a line per case
  <case>.png      borders, and each region in its mean intensity, of the first cases
The folder is the one beside the images' (imagesTr_regions for imagesTr) or --out-dir. A run that was interrupted goes
on where it stopped; maps of images that changed are made again.

examples
  python tools/dataset/superpixels.py configs/unet/unet_hippocampus.py --modality mr --min-size 30
  python tools/dataset/superpixels.py data/btcv/dataset.json --mode 3d --workers 8
  python tools/dataset/superpixels.py scans/ --mode 2d --out-dir maps
"""


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EPILOG
    )
    parser.add_argument(
        'source', help='config (its data set), Decathlon list, or volumes: folder, pattern, file, list'
    )
    parser.add_argument('--out-dir', default=BESIDE, metavar='DIR', help='for the maps (default: beside the images)')
    parser.add_argument(
        '--split', help="of a config: train, val, test (default: train); of a list (default: 'training')"
    )
    parser.add_argument('--mode', choices=GROWTH, default='3d', help='slice by slice or in the volume (default: 3d)')
    parser.add_argument(
        '--modality',
        choices=PRESETS,
        default='ct',
        help='ct: window -125 to 275 HU, body above -300 HU; mr: window by percentiles, all is body (default: ct)',
    )
    parser.add_argument(
        '--window', type=float, nargs=2, metavar=('LOW', 'HIGH'), help='intensities that become 0..255'
    )
    parser.add_argument('--body-above', type=float, metavar='VALUE', help='intensity that parts body from air')
    parser.add_argument('--scale', type=float, help='k; larger ones give larger regions (default: 1 in 2D, 5 in 3D)')
    parser.add_argument('--sigma', type=float, metavar='MM', help='smoothing (default: 0.75 mm in 2D, 1 mm in 3D)')
    parser.add_argument(
        '--min-size', type=float, metavar='MM', help='smallest region (default: 225 mm^2 in 2D, 500 mm^3 in 3D)'
    )
    parser.add_argument(
        '--distance-exponent', type=float, default=0.5, help='of the distance in 3D edge weights (default: 0.5)'
    )
    parser.add_argument('--channel', type=int, default=0, help='image channel (default: 0)')
    parser.add_argument('--workers', type=int, default=1, help='processes (default: 1)')
    parser.add_argument('--pictures', type=int, default=3, metavar='N', help='cases that are drawn (default: 3)')
    parser.add_argument('--overwrite', action='store_true', help='replace maps that other settings or tools made')
    add_config_options(parser)
    args = parser.parse_args(arguments)
    if args.workers < 1 or args.pictures < 0:
        parser.error(f'--workers must be 1 or more and --pictures 0 or more, got {args.workers} and {args.pictures}')
    return args


def main(arguments: list[str] | None = None) -> None:
    """Plan, make, report, draw."""
    args = parse_args(arguments)
    settings = read_settings(args)
    if settings.mode == '3d' and find_spec('numba') is None:
        raise ValueError("--mode 3d needs the package numba: pip install 'medctx3d[optional]', or choose --mode 2d")
    records, metainfo = read_source(args)
    if args.out_dir != BESIDE:
        require_writable(args.out_dir, '--out-dir')
    waiting, kept = plan_maps(
        records, args.out_dir, settings, channel=args.channel, metainfo=metainfo, overwrite=args.overwrite
    )
    for folder in sorted({job.path.parent for job in waiting}):
        require_writable(folder, '--out-dir')
    if kept:
        print(f'{len(kept)} of {len(records)} maps are there already')
    if waiting:
        make_maps(waiting, args.workers)
    jobs = sorted([*waiting, *kept], key=lambda job: str(job.record['case']))
    facts = {str(job.record['case']): read_sidecar(job.path) or {} for job in jobs}
    folder = jobs[0].path.parent
    write_summary(folder / 'summary.csv', facts)
    for job in jobs[: args.pictures]:
        draw(job)
    Console().print(summary_table(facts.values(), settings))
    print(f'maps, summary.csv and pictures lie in {folder}')


def read_settings(args: argparse.Namespace) -> RegionSettings:
    """Presets of mode and modality, and what the options say otherwise."""
    values: dict[str, Any] = {**PRESETS[args.modality], **GROWTH[args.mode]}
    for name in ('window', 'body_above', 'scale', 'sigma', 'min_size'):
        given = getattr(args, name)
        if given is not None:
            values[name] = tuple(given) if name == 'window' else given
    return RegionSettings(mode=args.mode, distance_exponent=args.distance_exponent, **values)


def read_source(args: argparse.Namespace) -> tuple[list[Record], Mapping[str, Any]]:
    """Cases and the data set's meta information.

    Raises:
        ValueError: The config has no such split, or two cases have one name.
        FileNotFoundError: There is no such source.
    """
    source = Path(args.source)
    if source.suffix == '.py':
        config, split = open_config(args.source, args.cfg_options, safe=args.safe), args.split or 'train'
        loader = config.get(f'{split}_dataloader')
        if not loader:
            raise ValueError(f'--split {split}: {args.source} has no {split}_dataloader')
        dataset = DATASETS.build({**loader['dataset'], 'lazy_init': True, 'region_maps': None})
        dataset.read_list()
        return list(dataset.data_list), dataset.metainfo
    if source.suffix == '.json' and isinstance(_content(source), dict):
        records = decathlon_records(source, '', args.split or 'training')
        return records, decathlon_metainfo(source)
    listed = list(expand_input(args.source, args.split or 'training'))
    records = [dict(case=entry.name, image=entry.image, label=None) for entry in listed]
    check_cases(records, 'test', args.source)
    header = read_header(image_paths(records[0])[0])
    count = len(image_paths(records[0])) if len(header.shape) == 3 else header.shape[3]
    return records, dict(channels=tuple(f'channel {index}' for index in range(count)))


def _content(path: Path) -> Any:
    try:
        return read_json(path)
    except ValueError:  # a list of images, which expand_input reads
        return None


def write_summary(path: Path, facts: Mapping[str, Mapping[str, Any]]) -> None:
    """A line per case."""
    classes = list(dict.fromkeys(name for fact in facts.values() for name in _purity(fact).get('classes', {})))
    head = ['case', 'regions', 'smallest_mm3', 'median_mm3', 'largest_mm3', 'covered', 'purity', 'purity_foreground']
    with atomic_path(path) as draft, draft.open('w', newline='', encoding='utf-8') as stream:
        writer = csv.writer(stream)
        writer.writerow([*head, *(f'purity_{name}' for name in classes)])
        for case, fact in facts.items():
            purity = _purity(fact)
            sizes = fact['volume_mm3'] or [None] * 3
            by_class = [purity.get('classes', {}).get(name) for name in classes]
            shares = [fact['covered'], purity.get('total'), purity.get('foreground')]
            writer.writerow([case, fact['count'], *sizes, *shares, *by_class])


def summary_table(facts: Iterable[Mapping[str, Any]], settings: RegionSettings) -> Table:
    """Means over the cases."""
    facts = list(facts)
    table = Table('over the cases', 'mean', 'lowest', 'highest', title=f'{len(facts)} maps, {settings.mode}')
    rows: dict[str, list[float]] = {
        'regions': [fact['count'] for fact in facts],
        'median region (mm^3)': [fact['volume_mm3'][1] for fact in facts if fact['volume_mm3']],
        'share of voxels in regions': [fact['covered'] for fact in facts],
    }
    judged = [_purity(fact) for fact in facts if _purity(fact)]
    rows['purity, all voxels'] = [purity['total'] for purity in judged]
    rows['purity, labelled voxels'] = [p['foreground'] for p in judged if p['foreground'] is not None]
    for name in dict.fromkeys(name for purity in judged for name in purity['classes']):
        rows[f'purity, {name}'] = [p['classes'][name] for p in judged if name in p['classes']]
    for name, values in rows.items():
        if values:
            table.add_row(name, *(f'{value:.4g}' for value in (np.mean(values), min(values), max(values))))
    return table


def draw(job: Job) -> None:
    """The picture of one case, beside its map."""
    image, affine = read_channel(job.record, job.channel)
    regions = read_volume(job.path)[0]
    labels = read_volume(job.record['label'])[0] if job.record.get('label') else None
    picture = draw_regions(
        image,
        {job.settings.mode: regions},
        affine=affine,
        labels=None if labels is None else labels.astype(np.int64),
        window=job.settings.window,
        title=f'{job.record["case"]}: {int(regions.max())} regions',
    )
    write_picture(str(job.path).removesuffix('.nii.gz') + '.png', picture)


def _purity(fact: Mapping[str, Any]) -> dict[str, Any]:
    return dict(fact.get('purity') or {})


if __name__ == '__main__':
    run_tool(main)

"""Make the data list (a Decathlon JSON) of a public data set, an nnU-Net v2 folder or two folders of your own.

The list has one entry per case with paths relative to itself, and the splits. All headers are checked before
anything is written: image and label on one grid, positive voxel sizes, the right number of channels.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import track
from rich.table import Table

from medctx3d.datasets.checks import Record, check_headers, record_files
from medctx3d.datasets.datalist import write_datalist
from medctx3d.datasets.folder_lists import nnunet_metainfo, nnunet_splits, paired_records
from medctx3d.datasets.layouts import acdc_splits, btcv_splits, msd_subjects, seeded_split
from medctx3d.datasets.metainfo import METAINFO
from medctx3d.utils.data_folders import VARIABLE, folder_outside
from medctx3d.utils.volume_file import read_header

EXAMPLES = """examples:
  make_datalist.py btcv Abdomen/RawData --out data/btcv/dataset.json
  make_datalist.py acdc ACDC/database
  make_datalist.py brain-tumour Task01_BrainTumour
  make_datalist.py hippocampus Task04_Hippocampus --out data/hippocampus/dataset.json
  make_datalist.py nnunet nnUNet_raw/Dataset004_Hippocampus --validation 0.2
  make_datalist.py folders scans/images scans/labels --classes background liver tumour --validation 0.1 --test 0.2

In a config, data_root is then the folder of the list and ann_file its name."""


class DataList(NamedTuple):
    """What is to be written.

    Attributes:
        splits: Split name to records.
        metainfo: ``classes`` and ``channels``.
        note: What the split is, kept in the file.
    """

    splits: dict[str, list[Record]]
    metainfo: Mapping[str, Any]
    note: str


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(dest='kind', required=True, metavar='KIND')
    _add_btcv(kinds)
    _add_acdc(kinds)
    _add_others(kinds)
    for kind in kinds.choices.values():
        kind.add_argument('--out', type=Path, help='the list to write (default: beside the data)')
        kind.add_argument('--overwrite', action='store_true', help='replace a list that is there')
        kind.add_argument('--no-check', action='store_true', help='do not read the headers of all files first')
    return parser.parse_args(argv)


def make(args: argparse.Namespace) -> DataList:
    """Collect cases and divide them.

    Raises:
        FileNotFoundError: Folders or files are missing.
        ValueError: The split is impossible, or a file breaks a rule.
    """
    if args.kind == 'btcv':
        splits = btcv_splits(args.root, scheme=args.scheme, allow_missing=args.allow_missing)
        return DataList(splits, METAINFO['btcv'], f'BTCV, 18/12 split by case id of {args.scheme}')
    if args.kind == 'acdc':
        splits = acdc_splits(
            args.root,
            validation=args.validation,
            test=args.test,
            official_test=args.official_test,
            seed=args.seed,
        )
        test = 'patients 101-150 are test' if args.official_test else f'test {args.test:g}'
        return DataList(splits, METAINFO['acdc'], f'ACDC by patient and diagnosis, {test}, seed {args.seed}')
    if args.kind == 'nnunet' and not (args.validation or args.test):
        return DataList(nnunet_splits(args.root), nnunet_metainfo(args.root), f'{args.root.name}, its own split')
    subjects, metainfo, name = _subjects(args)
    splits = seeded_split(subjects, dict(validation=args.validation, test=args.test), seed=args.seed)
    note = f'{name}, validation {args.validation:g}, test {args.test:g}, seed {args.seed}'
    return DataList(splits, metainfo, note)


def check(data: DataList) -> list[str]:
    """Check every case's headers; what is wrong, one message each."""
    problems = []
    records = [record for records in data.splits.values() for record in records]
    for record in track(records, description='reading headers', transient=True, disable=not sys.stdout.isatty()):
        try:
            check_headers(record, data.metainfo)
        except (ValueError, FileNotFoundError) as error:
            problems.append(str(error))
    return problems


def summarize(data: DataList, out: Path) -> None:
    """Print what was written and what a config needs."""
    table = Table('split', 'cases', 'subjects', 'first ... last case', title=str(out), title_justify='left')
    for split, records in data.splits.items():
        subjects = {record.get('subject', record['case']) for record in records}
        table.add_row(split, str(len(records)), str(len(subjects)), f'{records[0]["case"]} ... {records[-1]["case"]}')
    Console().print(table)
    classes, channels = tuple(data.metainfo['classes']), tuple(data.metainfo['channels'])
    print(f'{len(classes)} classes: {", ".join(f"{i} {name}" for i, name in enumerate(classes))}')
    print(f'split: {data.note}')
    print('for the config:')
    print(f'  data_root={str(out.parent)!r}, ann_file={out.name!r},')
    print(f'  metainfo=dict(classes={classes!r}, channels={channels!r})')
    files = [path for split in data.splits.values() for record in split for path in record_files(record)]
    if outside := folder_outside(files, out.parent):
        print(f'the list leads out of its folder; wherever it is used: export {VARIABLE}={outside}')


def main(argv: Sequence[str] | None = None) -> int:
    """Make one list; status 1, and nothing written, when anything is wrong."""
    args = parse_args(argv)
    out = args.out or _default_out(args)
    try:
        if out.exists() and not args.overwrite:
            raise FileExistsError(f'{out}: exists. Name another file with --out, or pass --overwrite.')
        data = make(args)
        problems = [] if args.no_check else check(data)
        if problems:
            raise ValueError('\n'.join([*problems[:5], f'{len(problems)} case(s) are wrong; nothing was written.']))
        classes, channels = data.metainfo['classes'], data.metainfo['channels']
        write_datalist(out, data.splits, classes=classes, channels=channels, name=args.kind, description=data.note)
    except (OSError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    summarize(data, out)
    return 0


def _add_btcv(kinds: Any) -> None:
    btcv = kinds.add_parser(
        'btcv',
        help='abdominal CT, 13 organs, 18 training and 12 test cases by id',
        description='BTCV ("Synapse"): the 30 labelled cases, img/img0001.nii.gz and label/label0001.nii.gz anywhere '
        'below ROOT. The 12 test cases are those that papers report; do not select anything on them.',
    )
    btcv.add_argument('root', type=Path, help='unpacked download')
    btcv.add_argument(
        '--scheme',
        choices=('nnformer', 'unetr'),
        default='nnformer',
        help='which published 18/12 split: nnformer (the default; also TransUNet and most papers) or unetr. They '
        'share only 5 test cases',
    )
    btcv.add_argument('--allow-missing', action='store_true', help='take the cases that are there')


def _add_acdc(kinds: Any) -> None:
    acdc = kinds.add_parser(
        'acdc',
        help='cine MR of the heart, both labelled frames of a patient kept together',
        description='ACDC: patientNNN/patientNNN_frameMM.nii.gz with _gt anywhere below ROOT; Info.cfg names the '
        'frames and the diagnosis, over which patients are spread evenly. Default: patients 1-100 in 70/10/20 %.',
    )
    acdc.add_argument('root', type=Path, help='unpacked download')
    acdc.add_argument('--official-test', action='store_true', help='patients 101-150 are the test split')
    _add_shares(acdc, validation=0.1, test=0.2)


def _add_others(kinds: Any) -> None:
    tumour = kinds.add_parser('brain-tumour', help='MSD Task01, four MR channels, 387/73/24 of the labelled cases')
    tumour.add_argument('root', type=Path, help='Task01_BrainTumour')
    _add_shares(tumour, validation=73, test=24)
    hippocampus = kinds.add_parser(
        'hippocampus',
        help='MSD Task04, ids 2k-1 and 2k kept together',
        description='MSD Task04: ids 2k-1 and 2k are very probably the two sides of one person and stay together.',
    )
    hippocampus.add_argument('root', type=Path, help='Task04_Hippocampus')
    _add_shares(hippocampus, validation=0.15, test=0)
    nnunet = kinds.add_parser(
        'nnunet',
        help='an nnU-Net v2 raw folder',
        description='nnU-Net v2 raw data. Without --validation and --test: imagesTr is training (fold 0 of a '
        'splits_final.json in ROOT divides it), a labelled imagesTs is test.',
    )
    nnunet.add_argument('root', type=Path, help='DatasetNNN_Name')
    _add_shares(nnunet, validation=0, test=0)
    folders = kinds.add_parser(
        'folders',
        help='two parallel folders',
        description='Images and labels of the same name in two folders. Several channels: one 4D file per case, or '
        'CASE_0000, CASE_0001, ... beside a label CASE. Default: all cases are training.',
    )
    folders.add_argument('images', type=Path)
    folders.add_argument('labels', type=Path)
    folders.add_argument('--classes', nargs='+', required=True, help='names in the order of ids, background first')
    folders.add_argument('--channels', nargs='+', default=['image'], help='image channel names')
    _add_shares(folders, validation=0, test=0)


def _add_shares(parser: argparse.ArgumentParser, *, validation: float, test: float) -> None:
    for name, default in (('validation', validation), ('test', test)):
        parser.add_argument(
            f'--{name}',
            type=float,
            default=default,
            metavar='N',
            help=f'share (below 1) or number of subjects in {name} (default {default:g})',
        )
    parser.add_argument('--seed', type=int, default=0, help='of the division (default 0)')


def _subjects(args: argparse.Namespace) -> tuple[dict[str, list[Record]], Mapping[str, Any], str]:
    """Records by subject, meta information and name of the kinds that are divided by a seed."""
    if args.kind == 'brain-tumour':
        return msd_subjects(args.root), METAINFO['brain_tumour'], 'MSD Task01'
    if args.kind == 'hippocampus':
        return msd_subjects(args.root, paired_ids=True), METAINFO['hippocampus'], 'MSD Task04, pairs kept together'
    if args.kind == 'nnunet':
        parts = nnunet_splits(args.root)
        records = [record for split in parts.keys() - {'test'} for record in parts[split]]
        by_case = {record['case']: [record] for record in records}
        return by_case, nnunet_metainfo(args.root), f'{args.root.name} imagesTr'
    metainfo = dict(classes=tuple(args.classes), channels=tuple(args.channels))
    records = paired_records(args.images, args.labels, channels=_files_per_case(args.images, len(args.channels)))
    return {record['case']: [record] for record in records}, metainfo, f'{args.images.name}, {args.labels.name}'


def _files_per_case(images: Path, channels: int) -> int:
    """One where a file holds all channels (4D), else one file per channel."""
    first = next((path for path in sorted(images.glob('[!.]*.nii*'))), None)
    return 1 if first is None or len(read_header(first).shape) == 4 else channels


def _default_out(args: argparse.Namespace) -> Path:
    """Beside the data, but never in the place of an official dataset.json."""
    if args.kind == 'folders':
        return args.images.parent / 'dataset.json'
    return args.root / ('dataset.json' if args.kind in ('btcv', 'acdc') else 'datalist.json')


if __name__ == '__main__':
    sys.exit(main())

"""Choose post-processing from predictions of cases that were not trained on, and write it as a config.

    python tools/test.py CONFIG CHECKPOINT --cfg-options ... --save-predictions --out work_dirs/run/val
    python tools/choose_postprocessing.py CONFIG work_dirs/run/val/predictions --out configs/run_post.py
    python tools/choose_postprocessing.py CONFIG fold0/predictions fold1/predictions --split train --out run_post.py

Predictions are <case>.nii.gz, .nii, .nrrd or .mha on the grid of the label files. --split val takes the cases of
val_dataloader; --split train takes those of train_dataloader, each predicted by a model of cross-validation that was
not trained on it, which is yours to see to. A case of the test split is refused: what is chosen on it no longer
measures anything.

For each class, the step that gains most mean Dice is taken, if the 95 % interval of the paired gain does not reach
below 0, then the next.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from rich.console import Console
from rich.progress import track
from rich.table import Table

from medctx3d.apis.postprocessing_choice import (
    MIN_VOLUMES,
    Crop,
    Trial,
    candidates,
    choose_for_class,
    config_steps,
    crops_of,
)
from medctx3d.datasets import VolumeDataset
from medctx3d.datasets.checks import check_splits, few
from medctx3d.engine.launch import load_config
from medctx3d.registry import DATASETS, register_all_modules
from medctx3d.utils.atomic import atomic_path, require_writable
from medctx3d.utils.command_line import add_config_options, run_tool
from medctx3d.utils.nifti import read_labels
from medctx3d.utils.setup_env import setup_environment
from medctx3d.utils.volume_file import read_header, strip_suffix

ENDINGS = ('.nii.gz', '.nii', '.nrrd', '.mha')  # what tools/infer.py writes


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file that the model was trained with')
    parser.add_argument('predictions', nargs='+', metavar='FOLDER', help='folder of predictions, <case>.nii.gz')
    parser.add_argument('--out', required=True, metavar='FILE', help='config to write, with CONFIG as its base')
    parser.add_argument('--split', choices=('val', 'train'), default='val', help='whose cases (default: val)')
    parser.add_argument(
        '--min-volumes', nargs='+', type=float, default=MIN_VOLUMES, metavar='MM3', help='minimum sizes to try'
    )
    add_config_options(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, see that no case is a test case, choose, write."""
    args = parse_args(arguments)
    setup_environment()
    register_all_modules()
    config = load_config(args.config, args.cfg_options, safe=args.safe)
    out = Path(args.out)
    if out.suffix != '.py' or out.resolve() == Path(args.config).resolve():
        raise ValueError(f'--out must be a .py file beside CONFIG, got {args.out}')
    require_writable(out.parent, 'the folder of --out')
    steps = candidates(args.min_volumes)
    dataset = read_dataset(config, args.split)
    files = find_predictions(args.predictions)
    test = read_dataset(config, 'test') if config.get('test_dataloader') else None
    records = match(files, dataset, test, split=args.split)
    names = {label: name for label, name in enumerate(dataset.metainfo['classes']) if label}
    crops = read_crops(files, records, dataset.metainfo.get('label_map'), list(names))
    trials = {label: choose_for_class(crops[label], label, steps) for label in names if len(crops[label]) > 1}
    show(trials, names, cases=len(records))
    for label in names.keys() - trials.keys():
        print(f'{names[label]}: in fewer than two cases, left as it is')
    taken = {label: [trial.step for trial in rows if trial.taken] for label, rows in trials.items()}
    text = config_text(config_steps(taken), base=os.path.relpath(args.config, out.parent))
    with atomic_path(out) as temporary:
        temporary.write_text(text, encoding='utf-8')
    print(text)
    print(f'done: {out}; chosen on {len(records)} cases of split {args.split!r}, none of the test split')


def read_dataset(config: Config, stage: str) -> VolumeDataset:
    """The data set of a stage with its list; no volume is opened.

    Raises:
        ValueError: The config has no such stage.
    """
    loader = config.get(f'{stage}_dataloader')
    if not loader:
        raise ValueError(
            f'{config.filename} has no {stage}_dataloader: post-processing is chosen on validation cases, or with '
            '--split train on out-of-fold predictions of cross-validation'
        )
    dataset = DATASETS.build(dict(loader['dataset'], lazy_init=True))
    dataset.read_list()
    return dataset


def find_predictions(folders: Sequence[str]) -> dict[str, Path]:
    """Files by case.

    Raises:
        FileNotFoundError: A folder is missing or holds no prediction.
        ValueError: Two folders hold the same case.
    """
    files: dict[str, Path] = {}
    for folder in map(Path, folders):
        found = sorted(path for path in folder.glob('[!.]*') if path.name.endswith(ENDINGS))
        if not found:
            raise FileNotFoundError(f'{folder} holds no prediction: looked for files that end in {", ".join(ENDINGS)}')
        for path in found:
            other = files.setdefault(strip_suffix(path), path)
            if other != path:
                raise ValueError(f'case {strip_suffix(path)!r} is predicted twice: {other} and {path}; drop one')
    return files


def match(
    files: Mapping[str, Path], dataset: VolumeDataset, test: VolumeDataset | None, *, split: str
) -> list[dict[str, Any]]:
    """The records of the predicted cases.

    Raises:
        ValueError: A prediction is of a test case, or of none of the split; or a case of the split lacks one.
    """
    records = {str(record['case']): record for record in dataset.data_list}
    tested = {str(record['case']) for record in test.data_list} if test is not None else set()
    forbidden = sorted(tested.intersection(files))
    if forbidden:
        raise ValueError(
            f'{len(forbidden)} predictions are of cases of the test split, on which nothing may be chosen: '
            f'{few(forbidden)}. Predict the validation split, or choose on out-of-fold predictions'
        )
    unknown = sorted(set(files) - set(records))
    missing = sorted(set(records) - set(files))
    if unknown or missing:
        raise ValueError(
            f'predictions must be those of all cases of split {split!r}; of none of its cases: {few(unknown) or "-"}; '
            f'missing: {few(missing) or "-"}'
        )
    bare = sorted(case for case, record in records.items() if not record.get('label'))
    if bare:
        raise ValueError(f'{len(bare)} cases of split {split!r} have no truth: {few(bare)}')
    if test is not None:
        check_splits({f'{split} (to choose on)': list(records.values()), 'test': test.data_list})
    return list(records.values())


def read_crops(
    files: Mapping[str, Path], records: Sequence[Mapping[str, Any]], label_map: Any, labels: Sequence[int]
) -> dict[int, list[Crop]]:
    """Truth and prediction of every class of every case.

    Raises:
        ValueError: A prediction lies on another grid than its truth.
    """
    crops: dict[int, list[Crop]] = defaultdict(list)
    for record in track(records, description='reading', transient=True):
        path = files[str(record['case'])]
        truth, prediction = read_labels(record['label'], label_map), read_labels(path)
        affine, theirs = (read_header(str(file)).affine for file in (record['label'], path))
        if truth.shape != prediction.shape or not np.allclose(affine, theirs, atol=1e-3):
            raise ValueError(
                f'{path}: must lie on the grid of its truth {record["label"]} ({truth.shape}), it has '
                f'{prediction.shape} voxels and the affine {theirs.tolist()}'
            )
        for label, crop in crops_of(truth, prediction, affine, labels).items():
            crops[label].append(crop)
    return crops


def show(trials: Mapping[int, Sequence[Trial]], names: Mapping[int, str], *, cases: int) -> None:
    """Print every trial."""
    table = Table(title=f'mean Dice of {cases} cases, paired')
    for column in ('class', 'step', 'before', 'after', 'gain, 95 %', 'better/same/worse', 'taken'):
        table.add_column(column)
    for label, rows in trials.items():
        for trial in rows:
            arguments = ', '.join(f'{key}={value}' for key, value in trial.step.items() if key != 'type')
            table.add_row(
                names[label],
                f'{trial.step["type"]}({arguments})',
                f'{trial.before:.4f}',
                f'{trial.after:.4f}',
                f'{trial.gain.low:+.4f} to {trial.gain.high:+.4f}',
                f'{trial.cases.wins}/{trial.cases.ties}/{trial.cases.losses}',
                'yes' if trial.taken else '',
            )
    Console(width=140).print(table)


def config_text(steps: Sequence[Mapping[str, Any]], *, base: str) -> str:
    """A config with another as its base and these steps."""
    lines = [f'        dict({", ".join(f"{key}={value!r}" for key, value in step.items())}),' for step in steps]
    body = ['    postprocessing=[', *lines, '    ],'] if lines else ['    postprocessing=[],  # nothing surely helped']
    return '\n'.join([f'_base_ = [{Path(base).as_posix()!r}]', '', 'model = dict(', *body, ')', ''])


if __name__ == '__main__':
    run_tool(main)

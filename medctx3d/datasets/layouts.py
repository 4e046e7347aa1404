"""Splits of public data sets, from the folders that their official downloads unpack to."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from medctx3d.datasets.checks import Record, few
from medctx3d.datasets.folder_lists import paired_records
from medctx3d.utils.volume_file import strip_suffix

BTCV_CASES = (*range(1, 11), *range(21, 41))

BTCV_TEST = {
    'nnformer': (1, 2, 3, 4, 8, 22, 25, 29, 32, 35, 36, 38),
    'unetr': (*range(29, 41),),
}
"""The 12 test cases of the two published 18/12 splits; they share five cases only, so never compare across them."""


def seeded_split(
    subjects: Mapping[str, Sequence[Record]], parts: Mapping[str, float], *, seed: int = 0
) -> dict[str, list[Record]]:
    """Divide subjects at random, all records of a subject together; the same on every machine.

    Args:
        subjects: Records by subject.
        parts: Split name to a share of the subjects (below 1) or their number; what is left is ``training``.
        seed: Of the shuffle.

    Returns:
        ``training`` first, then the parts in their order; parts of size 0 are left out.

    Raises:
        ValueError: Nothing would be left for ``training``, or a part above 0 would get no subject.
    """
    names = sorted(subjects)
    random.Random(seed).shuffle(names)
    splits: dict[str, list[Record]] = {'training': []}
    for part, share in parts.items():
        count = round(share * len(subjects)) if share < 1 else int(share)
        if share < 0 or (share > 0 and count == 0) or count >= len(names):
            raise ValueError(
                f'{part} must leave subjects for training and get at least one, got {share:g} of {len(subjects)} '
                f'(subjects left: {len(names)}). Give a share below 1 or a smaller number.'
            )
        taken, names = names[:count], names[count:]
        if taken:
            splits[part] = [record for name in sorted(taken) for record in subjects[name]]
    splits['training'] = [record for name in sorted(names) for record in subjects[name]]
    return splits


def btcv_splits(root: str | Path, *, scheme: str = 'nnformer', allow_missing: bool = False) -> dict[str, list[Record]]:
    """BTCV's 30 labelled cases in 18 for training and 12 for test, by case id.

    Args:
        root: Any folder above ``img/img0001.nii.gz`` and ``label/label0001.nii.gz``.
        scheme: ``nnformer`` (the community's, also TransUNet's) or ``unetr``.
        allow_missing: Take what is there.

    Raises:
        FileNotFoundError: Images or labels are missing; the message has the case ids.
        ValueError: An id is there twice.
    """
    images, labels = (_by_id(root, prefix) for prefix in ('img', 'label'))
    absent = {'image': set(BTCV_CASES) - set(images), 'label': set(BTCV_CASES) - set(labels)}
    for what, ids in absent.items():
        if ids and (not allow_missing or len(ids) == len(BTCV_CASES)):
            raise FileNotFoundError(
                f'{root}: needs the {what}s of the 30 labelled BTCV cases (img/img0001.nii.gz, '
                f'label/label0001.nii.gz), {len(ids)} are missing: {few([f"{i:04d}" for i in sorted(ids)])}. '
                f'Unpack the whole download, or pass --allow-missing.'
            )
    splits: dict[str, list[Record]] = {'training': [], 'test': []}
    for number in BTCV_CASES:
        if number in images and number in labels:
            split = 'test' if number in BTCV_TEST[scheme] else 'training'
            splits[split].append(dict(case=f'img{number:04d}', image=images[number], label=labels[number]))
    return splits


def acdc_splits(
    root: str | Path, *, validation: float = 0.1, test: float = 0.2, official_test: bool = False, seed: int = 0
) -> dict[str, list[Record]]:
    """ACDC's labelled frames; both frames of a patient stay together, and the five diagnoses are spread evenly.

    Where a diagnosis is unknown, or has too few patients for its share, all patients are divided as one group.

    Args:
        root: Any folder above ``patientNNN/patientNNN_frameMM.nii.gz`` and ``..._gt.nii.gz``.
        validation: Share of the patients of each diagnosis, below 1.
        test: The same; patients 101 to 150 are not used then.
        official_test: Patients 101 to 150 are the test split, instead of a share of 1 to 100.
        seed: Of the division.

    Raises:
        FileNotFoundError: No patient folders, or a frame that lacks its image or truth.
        ValueError: The shares leave nothing for training.
    """
    diagnoses: dict[str, dict[str, list[Record]]] = {}
    held_out: list[Record] = []
    folders = sorted(path for path in Path(root).rglob('patient[0-9][0-9][0-9]') if path.is_dir())
    for folder in folders:
        info = _acdc_info(folder)
        if int(folder.name[-3:]) > 100:
            held_out += _acdc_frames(folder, info) if official_test else []
        else:
            frames = _acdc_frames(folder, info)
            diagnoses.setdefault(info.get('Group', ''), {})[folder.name] = frames
    if not diagnoses or (official_test and not held_out):
        what = 'patient101 to patient150' if diagnoses else 'patient001 to patient100'
        raise FileNotFoundError(f'{root}: needs folders {what}, there are none. Name the unpacked ACDC folder.')
    splits: dict[str, list[Record]] = {}
    parts = dict(validation=validation, test=0 if official_test else test)
    smallest = min(map(len, diagnoses.values()))
    if '' in diagnoses or any(0 < share < 1 and round(share * smallest) == 0 for share in parts.values()):
        diagnoses = {'all': {name: frames for group in diagnoses.values() for name, frames in group.items()}}
    for _, subjects in sorted(diagnoses.items()):
        for split, records in seeded_split(subjects, parts, seed=seed).items():
            splits.setdefault(split, []).extend(records)
    if official_test:
        splits['test'] = held_out
    return {split: sorted(records, key=lambda record: record['case']) for split, records in splits.items()}


def msd_subjects(root: str | Path, *, paired_ids: bool = False) -> dict[str, list[Record]]:
    """Labelled cases of a Medical Segmentation Decathlon task by subject.

    Args:
        root: ``TaskNN_Name``, or the folder above it, with ``imagesTr`` and ``labelsTr``.
        paired_ids: Ids 2k-1 and 2k are one subject, as in Task04 (the two hippocampi of a person).

    Raises:
        FileNotFoundError: The folders or labels are missing.
    """
    root = Path(root)
    found = [root, *sorted(root.glob('Task*'))]
    task = next((folder for folder in found if (folder / 'imagesTr').is_dir()), None)
    if task is None:
        raise FileNotFoundError(f'{root}: needs imagesTr and labelsTr of the task, not found. Name the TaskNN folder.')
    subjects: dict[str, list[Record]] = {}
    for record in paired_records(task / 'imagesTr', task / 'labelsTr'):
        if paired_ids and (subject := paired_subject(record['case'])):
            record['subject'] = subject
        subjects.setdefault(str(record.get('subject', record['case'])), []).append(record)
    return subjects


def paired_subject(case: str) -> str | None:
    """The person of a case of a data set in which ids 2k-1 and 2k are two sides of one: ``pair_k``.

    Args:
        case: Id that ends with a number, such as ``hippocampus_033``; any other has no pair.
    """
    number = re.search(r'(\d+)$', case)
    return f'pair_{(int(number[1]) + 1) // 2:03d}' if number else None


def _by_id(root: str | Path, prefix: str) -> dict[int, str]:
    """BTCV's files ``prefixNNNN`` anywhere below ``root``, by id."""
    found: dict[int, str] = {}
    for path in sorted(Path(root).rglob(f'{prefix}[0-9][0-9][0-9][0-9].nii*')):
        number = int(strip_suffix(path)[-4:])
        if number in found:
            raise ValueError(f'{path}: case {number:04d} is also {found[number]}. Name the folder of one of them.')
        found[number] = str(path)
    return found


def _acdc_info(folder: Path) -> dict[str, str]:
    """Lines ``key: value`` of a patient's Info.cfg; empty without one."""
    path = folder / 'Info.cfg'
    lines = path.read_text(encoding='utf-8').splitlines() if path.is_file() else []
    return {key.strip(): value.strip() for key, colon, value in (line.partition(':') for line in lines) if colon}


def _acdc_frames(folder: Path, info: Mapping[str, str]) -> list[Record]:
    """The frames that Info.cfg names (end of diastole and systole), or all that have a truth."""
    if 'ED' in info and 'ES' in info:
        stems = [f'{folder.name}_frame{int(info[key]):02d}' for key in ('ED', 'ES')]
    else:
        stems = sorted(strip_suffix(path)[: -len('_gt')] for path in folder.glob('*_frame*_gt.nii*'))
    files = {strip_suffix(path): str(path) for path in sorted(folder.glob('*_frame*.nii*')) if path.is_file()}
    missing = [name for stem in stems for name in (stem, f'{stem}_gt') if name not in files]
    if missing or not stems:
        raise FileNotFoundError(
            f'{folder}: needs image and truth (_gt) of both labelled frames, missing: '
            f'{few(missing) or "all"}. Unpack the patient again.'
        )
    return [dict(case=stem, subject=folder.name, image=files[stem], label=files[f'{stem}_gt']) for stem in stems]

"""From arms, shots or folds, and seeds to jobs."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from medctx3d.datasets.checks import Record
from medctx3d.studies.arms import Arm
from medctx3d.studies.job import Job
from medctx3d.studies.subsets import few_shot_subset, folds, inner_split
from medctx3d.utils.nifti import read_labels

SELECTIONS = ('last', 'inner')


class JobOptions(NamedTuple):
    """What all jobs of an invocation share.

    Attributes:
        select: One of ``SELECTIONS``: test the last checkpoint, or the best one on an inner split of the subset.
        threads: Of each job.
        keep_checkpoints: Whether checkpoints of finished jobs stay.
    """

    select: str = 'last'
    threads: int = 1
    keep_checkpoints: bool = False


def parse_shots(given: Sequence[str], available: int) -> list[int]:
    """Numbers of volumes from the command line, ascending and each once.

    Args:
        given: Whole numbers, or ``all``.
        available: Volumes of the training split.

    Raises:
        ValueError: Something else, or a number outside 1 to ``available``.
    """
    wrong = [text for text in given if text != 'all' and not (text.isdecimal() and 1 <= int(text) <= available)]
    if wrong or not given:
        raise ValueError(
            f"--shots must be whole numbers from 1 to {available}, the volumes of the training split, or 'all', got "
            f'{" ".join(wrong) or "none"}'
        )
    return sorted({available if text == 'all' else int(text) for text in given})


def few_shot_jobs(arms: Sequence[Arm], *, shots: Sequence[int], seeds: int, options: JobOptions) -> list[Job]:
    """Every arm on every subset, seed by seed, so that what is finished first can be compared first.

    Raises:
        ValueError: More shots than volumes, no seed, or a subset too small for ``select='inner'``.
    """
    jobs: list[Job] = []
    for seed in _seeds(seeds):
        for count in shots:
            subset = few_shot_subset(arms[0].train, count, seed)
            jobs += _jobs(arms, f'shots-{count}', seed, subset, [], options)
    return jobs


def fold_jobs(arms: Sequence[Arm], *, count: int, seeds: int, options: JobOptions) -> list[Job]:
    """Every arm on every fold of the training split, divided anew by each seed.

    Raises:
        ValueError: Fewer subjects than folds, no seed, or folds too small for ``select='inner'``.
    """
    jobs: list[Job] = []
    for seed in _seeds(seeds):
        parts = folds(arms[0].train, count, seed)
        for number, held in enumerate(parts):
            rest = [record for other, part in enumerate(parts) if other != number for record in part]
            jobs += _jobs(arms, f'fold-{number}', seed, rest, held, options)
    return jobs


def _seeds(count: int) -> range:
    if count < 1:
        raise ValueError(f'--seeds must be at least 1, got {count}: without a seed nothing is drawn')
    return range(count)


def _jobs(
    arms: Sequence[Arm], group: str, seed: int, subset: list[Record], held: list[Record], options: JobOptions
) -> Iterator[Job]:
    train, inner = inner_split(subset) if options.select == 'inner' else (subset, [])
    unseen = unseen_classes(train, arms[0].metainfo)
    for arm in arms:
        _require_unlabelled(arm, group, left=len(arm.train) - len(subset) - len(held), kept=[*inner, *held])
        yield Job(
            arm=arm.name,
            group=group,
            seed=seed,
            train=case_ids(train),
            inner=case_ids(inner),
            test=case_ids(held),
            unseen=unseen,
            threads=options.threads,
            keep_checkpoints=options.keep_checkpoints,
        )


def _require_unlabelled(arm: Arm, group: str, *, left: int, kept: list[Record]) -> None:
    """Refuse an arm that takes the rest of the training split without labels, where that cannot be."""
    dataset = arm.config.train_dataloader.dataset
    if dataset.get('unlabelled_split') is None or dataset.unlabelled_split != arm.datasets[0].split:
        return
    rule = f'{arm.name} trains on the rest of split {dataset.unlabelled_split!r} without labels'
    if kept:
        raise ValueError(
            f'{rule}, in which the held-out cases are: it cannot be cross-validated nor have its checkpoint chosen by '
            '--select inner. Name another list as unlabelled_split'
        )
    if not left:
        raise ValueError(f'{rule}, of which {group} leaves none: ask for fewer --shots')


def case_ids(records: Sequence[Record]) -> tuple[str, ...]:
    """Ids of records."""
    return tuple(str(record['case']) for record in records)


def unseen_classes(records: Sequence[Record], metainfo: dict[str, Any]) -> tuple[str, ...]:
    """Foreground classes that no label of the records holds.

    Labels are read one by one until every class was seen, so mostly the first is enough.

    Args:
        records: With ``label``.
        metainfo: ``classes``, and ``label_map`` where there is one.
    """
    classes = metainfo['classes']
    missing = set(range(1, len(classes)))
    label_map = tuple((metainfo.get('label_map') or {}).items())
    for record in records:
        if not missing:
            break
        missing -= _class_ids(str(record['label']), label_map)
    return tuple(classes[index] for index in sorted(missing))


@functools.cache
def _class_ids(path: str, label_map: tuple[tuple[int, int], ...]) -> frozenset[int]:
    return frozenset(np.unique(read_labels(path, dict(label_map))).tolist())

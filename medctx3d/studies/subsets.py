"""Which volumes a training of a study sees: nested few-shot subsets, folds, and an inner validation split.

A shot is one labelled volume. Subjects are shuffled by the seed and their volumes are taken in that order, so with one
seed every smaller subset lies in every larger one, and at most one subject of a subset has volumes left outside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from medctx3d.datasets.checks import Record

INNER_SHARE = 0.2  # of the subjects of a subset, for choosing a checkpoint


def subject_of(record: Record) -> str:
    """Whose volume it is: the record's ``subject``, else its case id."""
    return str(record.get('subject') or record['case'])


def shuffled(records: Sequence[Record], seed: int) -> list[Record]:
    """All records, subjects in an order drawn by the seed, the volumes of a subject together and by case id.

    The order depends on seed and ids alone, not on the order of the list nor on library versions.
    """
    by_subject: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: str(record['case'])):
        by_subject.setdefault(subject_of(record), []).append(record)
    subjects = sorted(by_subject)
    words = np.random.SeedSequence(seed).generate_state(4)
    order = np.random.RandomState(words).permutation(len(subjects))  # its stream never changes
    return [record for position in order for record in by_subject[subjects[position]]]


def few_shot_subset(records: Sequence[Record], shots: int, seed: int) -> list[Record]:
    """The first ``shots`` volumes of the seed's order.

    Args:
        records: The training split.
        shots: Number of labelled volumes.
        seed: Of the order of subjects.

    Raises:
        ValueError: There are fewer volumes, or ``shots`` is below 1.
    """
    if not 1 <= shots <= len(records):
        raise ValueError(
            f'--shots must lie between 1 and the {len(records)} volumes of the training split, got {shots}: ask for '
            'fewer, or for all'
        )
    return shuffled(records, seed)[:shots]


def folds(records: Sequence[Record], count: int, seed: int) -> list[list[Record]]:
    """Divide the records into folds of subjects, whose numbers differ by one at most.

    Args:
        records: The training split.
        count: Number of folds.
        seed: Of the order of subjects.

    Raises:
        ValueError: There are fewer subjects than folds, or fewer than two folds.
    """
    order = shuffled(records, seed)
    subjects = list(dict.fromkeys(map(subject_of, order)))
    if not 2 <= count <= len(subjects):
        raise ValueError(
            f'--folds must lie between 2 and the {len(subjects)} subjects of the training split, got {count}'
        )
    fold_of = {subject: position % count for position, subject in enumerate(subjects)}
    return [[record for record in order if fold_of[subject_of(record)] == fold] for fold in range(count)]


def inner_split(subset: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    """Divide a subset into what is trained on and what a checkpoint is chosen by.

    The last fifth of the subset's subjects (rounded up) is for choosing.

    Raises:
        ValueError: The subset has one subject only.
    """
    subjects = list(dict.fromkeys(map(subject_of, subset)))
    if len(subjects) < 2:
        raise ValueError(
            f'--select inner needs volumes of at least 2 subjects, the subset of {len(subset)} volume(s) has '
            f'{len(subjects)}: ask for more shots, or use --select last'
        )
    held = set(subjects[-math.ceil(INNER_SHARE * len(subjects)) :])
    trained = [record for record in subset if subject_of(record) not in held]
    return trained, [record for record in subset if subject_of(record) in held]

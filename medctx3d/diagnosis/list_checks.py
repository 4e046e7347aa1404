"""Checks of the lists: what is in them, what is missing, and what is in two splits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations

from medctx3d.datasets.checks import Record, identities, image_paths
from medctx3d.diagnosis.facts import CaseFacts, Facts, SplitFacts
from medctx3d.diagnosis.finding import Problem, told_problem

# Names that publishers give to persons; behind them another visit, frame, or side of the same one follows.
_PERSON = re.compile(
    r'(?:^|[/_-])((?:sub-[a-z0-9]+|(?:patient|pat|subject|subj)[_-]?\d+|tcga-\w\w-\w{4}))(?=[_.-]|$)', re.I
)

_BARE = ('test', 'predict', 'unlabelled')  # splits that may lack labels


def unusable_lists(facts: Facts) -> Iterator[Problem]:
    """Lists that cannot be read."""
    for split in facts.splits:
        if split.problem:
            yield told_problem(split.problem, split.source)


def empty_splits(facts: Facts) -> Iterator[Problem]:
    """Splits without a case."""
    for split in facts.splits:
        if not split.cases and not split.problem:
            yield Problem(
                split.source,
                f'split {split.split!r} is empty, it needs at least one case',
                f'List cases under {split.split!r}, or name another with split=',
            )


def missing_files(facts: Facts) -> Iterator[Problem]:
    """Files that a list names and that are not there."""
    for case, file in facts.files():
        if file.missing:
            yield Problem(
                file.path,
                f'no such file, case {case.case} of {case.split} lists it',
                'Correct data_root or the list, or fetch the file',
                case.case,
            )


def cases_twice(facts: Facts) -> Iterator[Problem]:
    """A case id or an image that one split lists twice."""
    for split in facts.splits:
        seen: dict[tuple[str, str], str] = {}
        for case in split.cases:
            path = case.images[0].path
            keys = [key for key in identities(case.record) if key[0] != 'subject']
            again = next((key for key in keys if key in seen), None)
            if again:
                yield Problem(
                    path,
                    f'split {split.split!r} must list a case once, {again[0]} {again[1]} is in it twice (first: '
                    f'{seen[again]})',
                    'Remove one, or, for different cases whose files have the same name, give each its own "case"',
                    case.case,
                )
            seen.update(dict.fromkeys(keys, path))


def shared_cases(facts: Facts) -> Iterator[Problem]:
    """One case id in two splits."""
    yield from _shared(facts, 'case')


def shared_files(facts: Facts) -> Iterator[Problem]:
    """One image file in two splits, links resolved."""
    yield from _shared(facts, 'file')


def shared_subjects(facts: Facts) -> Iterator[Problem]:
    """One subject in two splits."""
    yield from _shared(facts, 'subject')


def shared_names(facts: Facts) -> Iterator[Problem]:
    """Files in two splits that by their names are of one person, where the list names no subjects."""
    for first, second in _pairs(facts):
        persons = {_person(record): record for record in first[1] if not record.get('subject')}
        for record in second[1]:
            person = _person(record)
            other = persons.get(person)
            if person and other and not record.get('subject') and str(other['case']) != str(record['case']):
                yield Problem(
                    image_paths(record)[0],
                    f'by its name it is of {person}, of whom {other["case"]} is in {first[0]}; this one is in '
                    f'{second[0]}',
                    'Keep a person in one split; give the list a "subject" for every case',
                    str(record['case']),
                )


def missing_labels(facts: Facts) -> Iterator[Problem]:
    """Cases without a label where one is needed."""
    for split in facts.splits:
        if not split.split.startswith(_BARE):
            yield from _without_label(
                split,
                'needs a label to learn from or to be scored',
                'Add "label", or move it to "test" or "unlabelled"',
            )


def missing_truth(facts: Facts) -> Iterator[Problem]:
    """Test cases that cannot be scored."""
    for split in facts.splits:
        if split.split.startswith(_BARE):
            yield from _without_label(
                split, 'has no label, so tools/test.py cannot score it', 'Add "label", or use tools/infer.py'
            )


def labels_that_are_images(facts: Facts) -> Iterator[Problem]:
    """An image listed as its own label."""
    for case in facts.cases():
        if case.label and case.label.path in image_paths(case.record):
            yield Problem(
                case.label.path, f'case {case.case} lists it as image and as label', 'Name the label file', case.case
            )


def shared_labels(facts: Facts) -> Iterator[Problem]:
    """One label file for two cases."""
    owner: dict[str, CaseFacts] = {}
    for case in facts.cases():
        if case.label:
            first = owner.setdefault(case.label.path, case)
            if first.images[0].path != case.images[0].path:
                yield Problem(
                    case.label.path,
                    f'cases {first.case} and {case.case} list the same label for different images',
                    'Correct the pairing',
                    case.case,
                )


def _without_label(split: SplitFacts, why: str, fix: str) -> Iterator[Problem]:
    for case in split.cases:
        if case.label is None and not case.unlabelled:
            yield Problem(case.images[0].path, f'case {case.case} of split {split.split!r} {why}', fix, case.case)


def _pairs(facts: Facts) -> Iterator[tuple[tuple[str, list[Record]], tuple[str, list[Record]]]]:
    """Names and records of two splits each, the first being of the config, the second perhaps only of its lists."""
    found = [(f'{split.name} of {split.source}', [case.record for case in split.cases]) for split in facts.splits]
    used = {(split.source, split.split) for split in facts.splits}
    yield from combinations(found, 2)
    for split, own in zip(facts.splits, found, strict=True):
        for name, records in split.listed.items():
            if (split.source, name) not in used:
                yield own, (f'{name} of {split.source} (which the config does not use)', records)


def _shared(facts: Facts, kind: str) -> Iterator[Problem]:
    for (one, first), (two, second) in _pairs(facts):
        owner = {value: str(record['case']) for record in first for what, value in identities(record) if what == kind}
        cases = {str(record['case']) for record in first}
        for record in second:
            if kind != 'case' and str(record['case']) in cases:
                continue  # said already
            for what, value in identities(record):
                if what == kind and value in owner:
                    yield Problem(
                        image_paths(record)[0],
                        f'splits must not share a {kind}, {value} is in {one} (case {owner[value]}) and in {two} '
                        f'(case {record["case"]})',
                        'Remove it from one, or make the list again with tools/dataset/make_datalist.py',
                        str(record['case']),
                    )


def _person(record: Record) -> str:
    found = _PERSON.search(str(record['case'])) or _PERSON.search(image_paths(record)[0].replace('\\', '/'))
    return found[1].lower() if found else ''

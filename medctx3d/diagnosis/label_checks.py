"""Checks of the voxels of labels: values, classes, and where they lie."""

from __future__ import annotations

from collections.abc import Iterator

from medctx3d.diagnosis.facts import CaseFacts, ClassFacts, Facts, LabelFacts, SplitFacts
from medctx3d.diagnosis.finding import Problem, told_problem
from medctx3d.diagnosis.population_checks import outliers
from medctx3d.diagnosis.voxel_facts import COUNTED_VALUES

_TINY = 8  # voxels
_GAPS = 0.3  # of the slices between the first and the last with a class
_ENOUGH_SLICES = 6  # that a class must reach over before gaps are looked at
_CLEAR = 0.9  # of a class's voxels


def labels_not_finite(facts: Facts) -> Iterator[Problem]:
    """NaN or infinity in a label."""
    yield from _of_kind(facts, 'nonfinite')


def labels_with_fractions(facts: Facts) -> Iterator[Problem]:
    """Values that are not whole: interpolated labels, probabilities."""
    yield from _of_kind(facts, 'fractions')


def unknown_values(facts: Facts) -> Iterator[Problem]:
    """Values that are no class id: of a class without a name, or of an image listed as the label."""
    yield from _of_kind(facts, 'unknown')


def nameless_classes(facts: Facts) -> Iterator[Problem]:
    """Labelled splits without class names."""
    for split in facts.splits:
        if not split.classes and any(case.label for case in split.cases):
            yield Problem(
                f'{split.name}_dataloader.dataset.metainfo',
                "labels need the data set's class names",
                'Set metainfo=dict(classes=(...))',
            )


def empty_labels(facts: Facts) -> Iterator[Problem]:
    """Labels of nothing but background."""
    for _, case, label in _labels(facts):
        if not label.problem and not label.classes:
            yield Problem(
                case.label.path if case.label else '',
                'the label holds background only',
                'See whether it is the right file; leave the case out if the structures are not in the image',
                case.case,
            )


def classes_not_learnt(facts: Facts) -> Iterator[Problem]:
    """Classes that no training case shows."""
    for split in facts.splits:
        if split.trains:
            for name in _absent(split, split.cases):
                yield Problem(
                    split.source,
                    f'class {name} is in no label of the training split, so it cannot be learnt',
                    'Add cases that show it, or take it out of metainfo.classes',
                )


def classes_not_scored(facts: Facts) -> Iterator[Problem]:
    """Classes that no case of a validation or test split shows."""
    for split in facts.splits:
        if not split.trains:
            for name in _absent(split, split.cases):
                yield Problem(
                    split.source,
                    f'class {name} is in no label of the {split.name} split, so it has no score',
                    'Add cases that show it, or leave it out of metainfo.reported',
                )


def classes_not_in_fold(facts: Facts) -> Iterator[Problem]:
    """Classes that a fold of the training split does not show, though others do."""
    for split in facts.splits:
        if not split.trains:
            continue
        nowhere = {*_absent(split, split.cases)}
        for number, fold in enumerate(facts.folds, start=1):
            held = [case for case in split.cases if case.case in fold]
            for name in _absent(split, held):
                if name not in nowhere:
                    yield Problem(
                        split.source,
                        f'class {name} is in no label of fold {number} of {len(facts.folds)}, so it has no score',
                        'Use fewer folds or another seed in tools/crossval.py',
                    )


def strange_class_volumes(facts: Facts) -> Iterator[Problem]:
    """Classes much larger or smaller than in other cases."""
    by_class: dict[str, dict[str, float]] = {}
    cases: dict[str, CaseFacts] = {}
    for _, case, name, found in _classes(facts):
        if case.label:
            by_class.setdefault(name, {})[case.label.path] = found.volume_ml
            cases[case.label.path] = case
    for name, volumes in by_class.items():
        for path, volume, middle in outliers(volumes, at_least=5.0):
            yield Problem(
                path,
                f'class {name} has {volume:.3g} mL, the median is {middle:.3g} mL',
                'Look at the label: a part may be missing, or voxels of another class added',
                cases[path].case,
            )


def tiny_classes(facts: Facts) -> Iterator[Problem]:
    """Classes of a few voxels."""
    for _, case, name, found in _classes(facts):
        if found.voxels < _TINY:
            yield Problem(
                case.label.path if case.label else '',
                f'class {name} has {found.voxels} voxel(s)',
                'Look at the label: stray voxels count as the whole class in every score',
                case.case,
            )


def interrupted_classes(facts: Facts) -> Iterator[Problem]:
    """Classes missing in many slices between others: drawn on some slices only."""
    for _, case, name, found in _classes(facts):
        if found.gaps > _GAPS and found.voxels >= _ENOUGH_SLICES:
            yield Problem(
                case.label.path if case.label else '',
                f'class {name} is absent in {found.gaps:.0%} of the slices between its first and its last',
                'Look at the label: it may be drawn on some slices only, or have stray voxels far off',
                case.case,
            )


def classes_outside_window(facts: Facts) -> Iterator[Problem]:
    """Classes whose voxels the window turns into a single value."""
    for split, case, name, found in _classes(facts):
        window = split.pipeline.window
        if window and found.in_window is not None and found.in_window < 1 - _CLEAR and found.voxels >= _TINY:
            yield Problem(
                case.label.path if case.label else '',
                f'{1 - found.in_window:.0%} of the voxels of class {name} have intensities outside {window[0]:g} to '
                f'{window[1]:g}, which the load pipeline keeps',
                'See whether label and image belong together, or widen the window',
                case.case,
            )


def classes_on_nothing(facts: Facts) -> Iterator[Problem]:
    """Classes that lie on the image's empty background."""
    for _, case, name, found in _classes(facts):
        share = case.images[0].image.channels[0].common_share if case.images[0].image else 1.0
        if found.on_common is not None and found.on_common > _CLEAR and share < _CLEAR and found.voxels >= _TINY:
            yield Problem(
                case.label.path if case.label else '',
                f"{found.on_common:.0%} of the voxels of class {name} have the image's most frequent value, its "
                'background',
                'See whether label and image belong together',
                case.case,
            )


def _of_kind(facts: Facts, kind: str) -> Iterator[Problem]:
    for _, case, label in _labels(facts):
        if label.kind == kind and case.label:
            yield _exchanged(case, label) or told_problem(label.problem, case.label.path, case.case)


def _exchanged(case: CaseFacts, label: LabelFacts) -> Problem | None:
    """The label holds what an image does, and the image what a label does."""
    image = case.images[0].image
    if image is None or case.label is None:
        return None
    channel, many = image.channels[0], len(label.stored) >= COUNTED_VALUES
    few = channel.whole and channel.minimum >= 0 and channel.distinct < min(len(label.stored), COUNTED_VALUES)
    if not few or not (many or min(label.stored) < 0):
        return None
    return Problem(
        case.label.path,
        f'image and label look exchanged: a label must hold class ids, it has {len(label.stored)}'
        f'{" or more" * many} values from {min(label.stored):g} on, and its image {case.images[0].path} has '
        f'{channel.distinct} whole numbers from {channel.minimum:g} to {channel.maximum:g}, as a label does',
        'Exchange "image" and "label" of the case in the list, or the files',
        case.case,
    )


def _labels(facts: Facts) -> Iterator[tuple[SplitFacts, CaseFacts, LabelFacts]]:
    """Every label whose voxels were read, once."""
    seen = set()
    for split in facts.splits:
        for case in split.cases:
            if case.label and case.label.label and case.label.path not in seen:
                seen.add(case.label.path)
                yield split, case, case.label.label


def _classes(facts: Facts) -> Iterator[tuple[SplitFacts, CaseFacts, str, ClassFacts]]:
    for split, case, label in _labels(facts):
        for number, found in label.classes.items():
            yield split, case, split.classes[number], found


def _absent(split: SplitFacts, cases: tuple[CaseFacts, ...] | list[CaseFacts]) -> list[str]:
    """Foreground classes that none of the cases shows, if any label was read without a problem."""
    read = [case.label.label for case in cases if case.label and case.label.label and not case.label.label.problem]
    shown = {number for label in read for number in label.classes}
    return [name for number, name in enumerate(split.classes) if number and number not in shown] if read else []

"""Checks that hold a file against all others of the data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
from nibabel.orientations import aff2axcodes

from medctx3d.diagnosis.facts import CaseFacts, Facts
from medctx3d.diagnosis.finding import Problem

_ENOUGH = 5  # values that a median and a spread are worth something for
_DEVIATIONS = 6.0  # robust standard deviations
_MAD = 1.4826  # of a normal distribution: standard deviation over median absolute deviation
_NEAR = 0.97  # product of two signatures from which on they are taken for one scan
_AXES = 'XYZ'
_TURNED = 'Nothing: the load pipeline turns all to one orientation'
_TO_TURN = "Add dict(type='monai.transforms.Orientationd', keys=['image', 'label'], axcodes='RAS') to load_pipeline"


def spacing_outliers(facts: Facts) -> Iterator[Problem]:
    """Images whose voxels are much larger or smaller than usual."""
    cases = [case for case in facts.cases() if case.first]
    for axis in range(3):
        values = {case.images[0].path: case.first.spacing[axis] for case in cases if case.first}
        for path, value, middle in outliers(values, at_least=1.6):
            yield Problem(
                path,
                f'the voxel edge along {_AXES[axis]} is {value:.4g} mm, the median is {middle:.4g} mm',
                'See whether the header is right; resample or leave it out if not',
                _case_of(cases, path),
            )


def size_outliers(facts: Facts) -> Iterator[Problem]:
    """Images that cover much more or less than usual."""
    cases = [case for case in facts.cases() if case.first]
    for axis in range(3):
        values = {
            case.images[0].path: case.first.shape[axis] * case.first.spacing[axis] for case in cases if case.first
        }
        for path, value, middle in outliers(values, at_least=2.0):
            yield Problem(
                path,
                f'the volume is {value:.4g} mm long along {_AXES[axis]}, the median is {middle:.4g} mm',
                'See whether it shows the same part of the body, whole',
                _case_of(cases, path),
            )


def mixed_orientations(facts: Facts) -> Iterator[Problem]:
    """Orientations that most files do not have, where the pipeline turns none."""
    yield from _mixed(facts, reoriented=False)


def turned_orientations(facts: Facts) -> Iterator[Problem]:
    """Orientations that most files do not have, which the pipeline turns."""
    yield from _mixed(facts, reoriented=True)


def intensity_outliers(facts: Facts) -> Iterator[Problem]:
    """Images of another intensity scale, where it matters."""
    for split in facts.splits:
        if split.pipeline.normalises:
            return
    cases = [case for case in facts.cases() if case.images[0].image]
    for part, name in enumerate(('0.5 % quantile', 'median of what is shown', '99.5 % quantile')):
        values = {c.images[0].path: c.images[0].image.channels[0].quantiles[part] for c in cases if c.images[0].image}
        if len(values) < _ENOUGH:
            return
        middle = float(np.median([*values.values()]))
        spread = max(float(np.median(np.abs(np.array([*values.values()]) - middle))) * _MAD, _smallest_spread(cases))
        for path, value in values.items():
            if abs(value - middle) > _DEVIATIONS * spread:
                yield Problem(
                    path,
                    f'the {name} of its intensities is {value:.4g}, over the data set {middle:.4g} +- {spread:.3g}',
                    'See whether unit, protocol or contrast differ; normalise by case if they may',
                    _case_of(cases, path),
                )


def duplicates_across(facts: Facts) -> Iterator[Problem]:
    """One image under two names in two splits."""
    yield from _duplicates(facts, across=True)


def duplicates_within(facts: Facts) -> Iterator[Problem]:
    """One image under two names in one split."""
    yield from _duplicates(facts, across=False)


def near_duplicates_across(facts: Facts) -> Iterator[Problem]:
    """Images in two splits that are probably of one scan."""
    yield from _near(facts, across=True)


def near_duplicates_within(facts: Facts) -> Iterator[Problem]:
    """Images in one split that are probably of one scan."""
    yield from _near(facts, across=False)


def identical_labels(facts: Facts) -> Iterator[Problem]:
    """Different images with the same labels, voxel by voxel."""
    owner: dict[str, CaseFacts] = {}
    for case in facts.cases():
        found = case.label.label if case.label else None
        if case.label is None or found is None or not found.classes:
            continue
        first = owner.setdefault(found.digest, case)
        same = _digest(first) == _digest(case)
        if first is not case and first.label and first.label.path != case.label.path and not same:
            yield Problem(
                case.label.path,
                f'its voxels equal those of {first.label.path}, but the images differ',
                'Find the label that belongs to this image',
                case.case,
            )


def outliers(values: Mapping[str, float], *, at_least: float) -> list[tuple[str, float, float]]:
    """Values far from the median on a logarithmic scale, with the median.

    Args:
        values: Positive values by name.
        at_least: Factor from the median within which nothing is far, however alike the others are.
    """
    if len(values) < _ENOUGH:
        return []
    logs = np.log([*values.values()])
    middle = float(np.median(logs))
    allowed = max(_DEVIATIONS * _MAD * float(np.median(np.abs(logs - middle))), float(np.log(at_least)))
    return [
        (name, value, float(np.exp(middle)))
        for (name, value), log in zip(values.items(), logs, strict=True)
        if abs(log - middle) > allowed
    ]


def _smallest_spread(cases: Sequence[CaseFacts]) -> float:
    """A twentieth of the usual range: spreads below it are no reason to call an image strange."""
    ranges = [c.images[0].image.channels[0].quantiles for c in cases if c.images[0].image]
    return max(float(np.median([high - low for low, _, high in ranges])) / 20, 1e-12)


def _mixed(facts: Facts, *, reoriented: bool) -> Iterator[Problem]:
    """A finding for each orientation but the most frequent one, naming its first file."""
    codes: dict[str, list[CaseFacts]] = {}
    for split in facts.splits:
        for case in split.cases:
            if case.first and split.pipeline.reorients == reoriented:
                codes.setdefault(''.join(aff2axcodes(case.first.affine)), []).append(case)
    counts = Counter({code: len(cases) for code, cases in codes.items()})
    for code, count in counts.most_common()[1:]:
        usual, most = counts.most_common(1)[0]
        for case in codes[code]:
            yield Problem(
                case.images[0].path,
                f'its axes point {code}, as in {count} image(s); {most} are stored {usual}',
                _TURNED if reoriented else _TO_TURN,
                case.case,
            )


def _digest(case: CaseFacts) -> str:
    image = case.images[0].image
    return image.digest if image else case.images[0].path


def _pairs(facts: Facts, *, across: bool) -> Iterator[tuple[CaseFacts, CaseFacts]]:
    """Pairs of different files whose voxels were read, the later one second."""
    cases = {case.images[0].path: case for case in facts.cases() if case.images[0].image}
    by_digest: dict[str, list[CaseFacts]] = {}
    for case in cases.values():
        by_digest.setdefault(_digest(case), []).append(case)
    for same in by_digest.values():
        for first, second in combinations(same, 2):
            if (first.split != second.split) == across:
                yield first, second


def _duplicates(facts: Facts, *, across: bool) -> Iterator[Problem]:
    for first, second in _pairs(facts, across=across):
        where = f'which is in {first.split}; this one is in {second.split}' if across else f'both are in {first.split}'
        yield Problem(
            second.images[0].path,
            f'its voxels equal those of {first.images[0].path}, {where}',
            'Keep one of them',
            second.case,
        )


def _near(facts: Facts, *, across: bool) -> Iterator[Problem]:
    cases = [*{case.images[0].path: case for case in facts.cases() if case.images[0].image}.values()]
    if len(cases) < 2:
        return
    signatures = np.stack([case.images[0].image.signature for case in cases if case.images[0].image])
    alike = signatures @ signatures.T
    for i, j in np.argwhere(np.triu(alike, k=1) > _NEAR):
        first, second = cases[i], cases[j]
        if _digest(first) != _digest(second) and (first.split != second.split) == across:
            where = (
                f'which is in {first.split}; this one is in {second.split}' if across else f'both are in {first.split}'
            )
            yield Problem(
                second.images[0].path,
                f'its coarse content correlates by {alike[i, j]:.3f} with {first.images[0].path}, {where}',
                'Look at both; if they are of one scan, keep one of them',
                second.case,
            )


def _case_of(cases: Sequence[CaseFacts], path: str) -> str:
    return next(case.case for case in cases if case.images[0].path == path)

"""Checks of anatomy: left organs lie left of right ones, and some organs above others, in every patient."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from medctx3d.diagnosis.facts import CaseFacts, Facts
from medctx3d.diagnosis.finding import Problem

# World axis, class with the larger coordinate, class with the smaller, in every one of 28 abdominal CTs whose labels
# were compared (centroids at least 8 mm apart); brainstem over spinal cord by definition.
ORDER = (
    (0, 'liver', 'spleen'),
    (0, 'liver', 'stomach'),
    (0, 'gallbladder', 'spleen'),
    (0, 'gallbladder', 'stomach'),
    (0, 'inferior_vena_cava', 'aorta'),
    (1, 'pancreas', 'aorta'),
    (1, 'stomach', 'aorta'),
    (2, 'esophagus', 'pancreas'),
    (2, 'right_adrenal_gland', 'right_kidney'),
    (2, 'left_adrenal_gland', 'left_kidney'),
    (2, 'brainstem', 'spinal_cord'),
)
_WHERE = ('to the right of', 'in front of', 'above')
_ERRORS = ('left and right', 'front and back', 'head and foot')
_RIGHT = (
    re.compile(r'(?<![a-z])right(?![a-z])', re.IGNORECASE),
    re.compile(r'(?<![A-Za-z])[rR](?![A-Za-z])'),
    re.compile(r'(?<=[a-z])Right(?![a-z])'),
    re.compile(r'^Right(?=[A-Z])'),
)


def swapped_sides(facts: Facts) -> Iterator[Problem]:
    """Right organs that do not lie right of their left counterparts."""
    for split in facts.splits:
        pairs = sided_pairs(split.classes)
        for case in split.cases:
            for right, left in pairs:
                if right in case.classes and left in case.classes and case.label:
                    distance = case.classes[right].centroid[0] - case.classes[left].centroid[0]
                    if distance < -voxel_extent(case)[0]:
                        yield Problem(
                            case.label.path,
                            f'{split.classes[right]} must lie right of {split.classes[left]} in the patient, it lies '
                            f'{-distance:.3g} mm to the left of it',
                            'Find out whether labels are swapped or the affine mirrors the volume',
                            case.case,
                        )


def unlikely_places(facts: Facts) -> Iterator[Problem]:
    """Organs that lie on the wrong side of one another: mirrored or upside down."""
    for split in facts.splits:
        ids = {name.lower().replace(' ', '_'): number for number, name in enumerate(split.classes)}
        for case in split.cases:
            for axis, larger, smaller in ORDER:
                problem = _out_of_order(case, ids, axis, larger, smaller)
                if problem and case.label:
                    yield Problem(
                        case.label.path,
                        problem,
                        f'See whether {_ERRORS[axis]} are exchanged in the affine (a mirrored situs is rare but real)',
                        case.case,
                    )


def sided_pairs(classes: tuple[str, ...]) -> list[tuple[int, int]]:
    """Ids of classes whose names differ in the side alone: right, then left.

    ``right_kidney`` and ``left_kidney``, ``kidney_r`` and ``kidney_l``, ``KidneyRight`` and ``KidneyLeft`` are such.
    """
    ids = {name: number for number, name in enumerate(classes)}
    pairs = []
    for name, number in ids.items():
        for pattern in _RIGHT:
            other = pattern.sub(lambda found: _LEFT[found[0]], name)
            if other != name and other in ids:
                pairs.append((number, ids[other]))
                break
    return pairs


_LEFT = {'right': 'left', 'Right': 'Left', 'RIGHT': 'LEFT', 'r': 'l', 'R': 'L'}


def voxel_extent(case: CaseFacts) -> np.ndarray:
    """(3,) how far a voxel of the label reaches along each world axis, in mm: what a centroid is not finer than."""
    header = case.label.header if case.label else None
    return np.zeros(3) if header is None else np.abs(header.affine[:3, :3]).max(axis=1)


def _out_of_order(case: CaseFacts, ids: Mapping[str, int], axis: int, larger: str, smaller: str) -> str:
    first, second = (case.classes.get(ids.get(name, -1)) for name in (larger, smaller))
    if first is None or second is None:
        return ''
    distance = first.centroid[axis] - second.centroid[axis]
    if distance >= -voxel_extent(case)[axis]:
        return ''
    return f'{larger} lies {_WHERE[axis]} {smaller} in every patient, here it is {-distance:.3g} mm on the other side'

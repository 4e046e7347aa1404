"""Checks of single files and cases by their headers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from medctx3d.datasets.checks import check_channels, check_same_grid
from medctx3d.datasets.regions.region_map import check_region_map
from medctx3d.diagnosis.facts import CaseFacts, Facts
from medctx3d.diagnosis.finding import Problem, told_problem
from medctx3d.utils.geometry import corner_distance
from medctx3d.utils.volume_file import VolumeError

SHEAR = 1e-3  # largest cosine between two axes that still counts as a right angle; ITK's own bound is near
_EDGES = (0.02, 20.0)  # mm, of a voxel: outside, the unit is probably another
_MOVED = 0.1  # of the smallest voxel edge, by which sform and qform may place a corner differently


def unreadable_headers(facts: Facts) -> Iterator[Problem]:
    """Files whose header breaks a rule, or that are none."""
    for case, file in facts.files():
        if file.header_problem:
            yield told_problem(file.header_problem, file.path, case.case)


def wrong_channels(facts: Facts) -> Iterator[Problem]:
    """Images with other than the stated channels."""
    for split in facts.splits:
        for case in split.cases:
            headers = [file.header for file in case.images]
            if all(headers):
                found = sum(h.shape[3] if len(h.shape) == 4 else 1 for h in headers if h)
                try:
                    check_channels(found, [file.path for file in case.images], split.metainfo)
                except VolumeError as error:
                    yield told_problem(str(error), case.images[0].path, case.case)


def channels_apart(facts: Facts) -> Iterator[Problem]:
    """Channel files of a case on different grids."""
    for case in facts.cases():
        for file in case.images[1:]:
            if case.first and file.header:
                try:
                    check_same_grid(case.first, file.header, 'channel')
                except VolumeError as error:
                    yield told_problem(str(error), file.path, case.case)


def labels_not_3d(facts: Facts) -> Iterator[Problem]:
    """Labels with channels."""
    for case in _labelled(facts):
        header = case.label.header if case.label else None
        if header and len(header.shape) != 3:
            yield Problem(
                header.path,
                f'a label must be 3D, one class id a voxel; it has shape {header.shape}',
                'Merge one-hot or region channels into class ids',
                case.case,
            )


def labels_apart(facts: Facts) -> Iterator[Problem]:
    """Labels that do not lie on their image's grid: another shape, or corners elsewhere."""
    for case in _labelled(facts):
        header = case.label.header if case.label else None
        if header and case.first and len(header.shape) == 3:
            try:
                check_same_grid(case.first, header, 'label')
            except VolumeError as error:
                yield told_problem(str(error), header.path, case.case)


def unusable_regions(facts: Facts) -> Iterator[Problem]:
    """Region maps that are missing, lie on another grid, or were made of another version of their image."""
    for case in facts.cases():
        if case.record.get('regions') and case.first:
            try:
                check_region_map(case.record)
            except (VolumeError, FileNotFoundError) as error:
                yield told_problem(str(error), str(case.record['regions']), case.case)


def sheared_affines(facts: Facts) -> Iterator[Problem]:
    """Axes that are not at right angles."""
    for case, file in facts.files():
        if file.header and (cosine := shear(file.header.affine)) > SHEAR:
            yield Problem(
                file.path,
                f'the axes of the affine must be at right angles, two have a cosine of {cosine:.2g}; ITK refuses such '
                'files, and resampling shears them',
                'Let --fix write the nearest orthonormal affine; a tilted gantry needs resampling instead',
                case.case,
            )


def forms_apart(facts: Facts) -> Iterator[Problem]:
    """NIfTI files whose sform and qform lead to different places."""
    for case, file in facts.files():
        forms = file.forms
        if file.header is None or forms is None or forms.sform is None or forms.qform is None:
            continue
        moved = corner_distance(forms.sform, forms.qform, file.header.shape)
        allowed = _MOVED * min(file.header.spacing)
        if moved > max(allowed, SHEAR * max(file.header.shape[:3]) * max(file.header.spacing)):
            yield Problem(
                file.path,
                f'sform and qform must place the voxels alike, a corner differs by {moved:.3g} mm; this package and '
                'nibabel take the sform, ITK takes the qform where it can',
                'Find out which is true; --fix keeps the sform',
                case.case,
            )


def unstated_orientation(facts: Facts) -> Iterator[Problem]:
    """NIfTI files that do not say where left is."""
    for case, file in facts.files():
        if file.forms is not None and file.forms.sform is None and file.forms.qform is None:
            yield Problem(
                file.path,
                'neither sform nor qform is set, so nothing says where left is; the first axis is taken to point left',
                'Convert again from the source, or set the true affine with nibabel: image.set_sform(affine, code=1)',
                case.case,
            )


def strange_units(facts: Facts) -> Iterator[Problem]:
    """Lengths that are probably not in mm."""
    for case, file in facts.files():
        unit = file.forms.unit if file.forms else 'mm'
        if unit not in ('mm', 'unknown'):
            yield Problem(
                file.path,
                f'lengths must be in mm, the header says {unit}; they are read as mm',
                'Convert the affine to mm and set the unit: header.set_xyzt_units("mm")',
                case.case,
            )
        elif file.header and not (_EDGES[0] <= min(file.header.spacing) and max(file.header.spacing) <= _EDGES[1]):
            yield Problem(
                file.path,
                f'voxel edges between {_EDGES[0]:g} and {_EDGES[1]:g} mm are usual, it has '
                f'{" x ".join(f"{edge:.4g}" for edge in file.header.spacing)}',
                'See whether they are in another unit, or were lost in a conversion',
                case.case,
            )


def scaled_labels(facts: Facts) -> Iterator[Problem]:
    """Labels with a slope or an intercept."""
    for case in _labelled(facts):
        forms = case.label.forms if case.label else None
        if case.label and forms and (forms.slope, forms.intercept) != (1.0, 0.0):
            yield Problem(
                case.label.path,
                f'a label must be stored as it is meant, its header scales values by {forms.slope:g} and adds '
                f'{forms.intercept:g}; tools that pass over the scaling read other classes',
                'Write it again without scaling; --fix does',
                case.case,
            )


def real_labels(facts: Facts) -> Iterator[Problem]:
    """Labels stored as real numbers."""
    for case in _labelled(facts):
        header = case.label.header if case.label else None
        if header and header.dtype.kind == 'f' and len(header.shape) == 3:
            yield Problem(
                header.path,
                f'labels are best stored as integers, this one is {header.dtype}',
                'Let --fix write integers',
                case.case,
            )


def small_volumes(facts: Facts) -> Iterator[Problem]:
    """Training volumes smaller than the crop, which are padded."""
    for split in facts.splits:
        crop = split.pipeline.crop
        for case in split.cases if crop else ():
            header = case.first
            if header is None or not (split.pipeline.reorients or split.pipeline.spacing is None):
                continue
            size, axes = np.array(header.shape[:3], float), np.abs(header.affine[:3, :3]).argmax(axis=0)
            if split.pipeline.spacing is not None:
                size *= np.array(header.spacing) / np.array(split.pipeline.spacing)[axes]
            turned = np.empty(3)
            turned[axes] = size
            wanted = turned if split.pipeline.reorients else size
            if crop and (np.round(wanted) < np.array(crop)).any():
                shown = ' x '.join(f'{n:.0f}' for n in wanted)
                yield Problem(
                    header.path,
                    f'the volume has about {shown} voxels as the network sees it, the crop '
                    f'{" x ".join(map(str, crop))}: it is padded',
                    'Choose a smaller crop if many are padded',
                    case.case,
                )


def shear(affine: np.ndarray) -> float:
    """Largest cosine between two axes of an affine."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.abs(axes.T @ axes - np.eye(3)).max())


def _labelled(facts: Facts) -> Iterator[CaseFacts]:
    return (case for case in facts.cases() if case.label)

"""All checks: name, weight, what they must know, and what they look for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Literal, NamedTuple

from medctx3d.diagnosis import header_checks as header
from medctx3d.diagnosis import image_checks as image
from medctx3d.diagnosis import label_checks as label
from medctx3d.diagnosis import limit_checks as limit
from medctx3d.diagnosis import list_checks as lists
from medctx3d.diagnosis import population_checks as population
from medctx3d.diagnosis import side_checks as side
from medctx3d.diagnosis.facts import Facts
from medctx3d.diagnosis.finding import SEVERITIES, Finding, Problem, Severity

Part = Literal['list', 'header', 'voxels', 'machine']
CHEAP: tuple[Part, ...] = ('list', 'header')
"""Parts that need no voxel: what a training looks at by itself."""


class Check(NamedTuple):
    """One check.

    Attributes:
        name: Of its findings.
        severity: Of its findings.
        part: What must have been read.
        find: From the facts to what is wrong.
        title: What its findings are, for people.
    """

    name: str
    severity: Severity
    part: Part
    find: Callable[[Facts], Iterable[Problem]]
    title: str


CHECKS = (
    Check('unusable_list', 'error', 'list', lists.unusable_lists, 'Lists that cannot be read'),
    Check('empty_split', 'error', 'list', lists.empty_splits, 'Splits without a case'),
    Check('missing_file', 'error', 'list', lists.missing_files, 'Listed files that are not there'),
    Check('case_twice', 'error', 'list', lists.cases_twice, 'Cases that a split lists twice'),
    Check('case_in_two_splits', 'error', 'list', lists.shared_cases, 'Cases in two splits'),
    Check('file_in_two_splits', 'error', 'list', lists.shared_files, 'Files in two splits'),
    Check('patient_in_two_splits', 'error', 'list', lists.shared_subjects, 'Patients in two splits'),
    Check('patient_name_in_two_splits', 'warning', 'list', lists.shared_names, 'Probably one patient in two splits'),
    Check('missing_label', 'error', 'list', lists.missing_labels, 'Cases that lack a label'),
    Check('missing_truth', 'note', 'list', lists.missing_truth, 'Test cases that cannot be scored'),
    Check('label_is_image', 'error', 'list', lists.labels_that_are_images, 'Images listed as their own label'),
    Check('label_of_two_images', 'error', 'list', lists.shared_labels, 'Labels of two images'),
    Check('unreadable_header', 'error', 'header', header.unreadable_headers, 'Files whose header cannot be used'),
    Check('wrong_channels', 'error', 'header', header.wrong_channels, 'Images with other channels'),
    Check('channels_apart', 'error', 'header', header.channels_apart, 'Channels on different grids'),
    Check('label_not_3d', 'error', 'header', header.labels_not_3d, 'Labels with channels'),
    Check('label_apart', 'error', 'header', header.labels_apart, "Labels off their image's grid"),
    Check('region_map', 'error', 'header', header.unusable_regions, 'Region maps that cannot be used'),
    Check('sheared_affine', 'warning', 'header', header.sheared_affines, 'Axes that are not at right angles'),
    Check('forms_apart', 'warning', 'header', header.forms_apart, 'sform and qform that differ'),
    Check(
        'unstated_orientation', 'warning', 'header', header.unstated_orientation, 'Files that do not say where left is'
    ),
    Check('strange_unit', 'warning', 'header', header.strange_units, 'Lengths that are probably not in mm'),
    Check('scaled_label', 'warning', 'header', header.scaled_labels, 'Labels with a slope or intercept'),
    Check('real_label', 'note', 'header', header.real_labels, 'Labels stored as real numbers'),
    Check('small_volume', 'note', 'header', header.small_volumes, 'Volumes smaller than the crop'),
    Check('spacing_outlier', 'warning', 'header', population.spacing_outliers, 'Unusual voxel sizes'),
    Check('size_outlier', 'warning', 'header', population.size_outliers, 'Unusual extents'),
    Check(
        'mixed_orientation', 'warning', 'header', population.mixed_orientations, 'Orientations that nothing unifies'
    ),
    Check(
        'turned_orientation',
        'note',
        'header',
        population.turned_orientations,
        'Orientations that the pipeline unifies',
    ),
    Check('unreadable_voxels', 'error', 'voxels', image.unreadable_voxels, 'Files whose voxels cannot be read'),
    Check('nonfinite_image', 'error', 'voxels', image.nonfinite_images, 'NaN or infinity in images'),
    Check('constant_image', 'error', 'voxels', image.constant_images, 'Images of one value'),
    Check('nearly_constant_image', 'warning', 'voxels', image.nearly_constant_images, 'Images of almost one value'),
    Check('outside_window', 'error', 'voxels', image.images_outside_window, 'Images wholly outside the window'),
    Check('unlike_window', 'warning', 'voxels', image.images_unlike_window, 'Images that hardly fit the window'),
    Check(
        'beyond_store', 'error', 'voxels', image.images_beyond_store, "Intensities that the store's type cannot hold"
    ),
    Check('image_like_label', 'warning', 'voxels', image.images_like_labels, 'Images that look like labels'),
    Check('saturated_image', 'note', 'voxels', image.saturated_images, 'Images that were cut off above'),
    Check('blank_slices', 'warning', 'voxels', image.blank_slices, 'Blank slices between others'),
    Check('intensity_outlier', 'warning', 'voxels', population.intensity_outliers, 'Unusual intensities'),
    Check('duplicate_across_splits', 'error', 'voxels', population.duplicates_across, 'One image in two splits'),
    Check('duplicate_in_split', 'warning', 'voxels', population.duplicates_within, 'One image twice in a split'),
    Check(
        'near_duplicate_across_splits',
        'warning',
        'voxels',
        population.near_duplicates_across,
        'Probably one scan in two splits',
    ),
    Check(
        'near_duplicate_in_split',
        'note',
        'voxels',
        population.near_duplicates_within,
        'Probably one scan twice in a split',
    ),
    Check('label_nonfinite', 'error', 'voxels', label.labels_not_finite, 'NaN or infinity in labels'),
    Check('label_fractions', 'error', 'voxels', label.labels_with_fractions, 'Labels that are not whole numbers'),
    Check('label_unknown_value', 'error', 'voxels', label.unknown_values, 'Label values that are no class'),
    Check('nameless_classes', 'error', 'list', label.nameless_classes, 'Labels without class names'),
    Check('empty_label', 'warning', 'voxels', label.empty_labels, 'Labels of background only'),
    Check('class_not_learnt', 'error', 'voxels', label.classes_not_learnt, 'Classes without a training case'),
    Check('class_not_scored', 'warning', 'voxels', label.classes_not_scored, 'Classes without a case to score'),
    Check('class_not_in_fold', 'note', 'voxels', label.classes_not_in_fold, 'Classes missing in a fold'),
    Check('class_volume_outlier', 'warning', 'voxels', label.strange_class_volumes, 'Unusual class volumes'),
    Check('tiny_class', 'warning', 'voxels', label.tiny_classes, 'Classes of a few voxels'),
    Check('interrupted_class', 'warning', 'voxels', label.interrupted_classes, 'Classes with missing slices'),
    Check('class_outside_window', 'warning', 'voxels', label.classes_outside_window, 'Classes outside the window'),
    Check('class_on_background', 'warning', 'voxels', label.classes_on_nothing, 'Classes on empty background'),
    Check('identical_labels', 'warning', 'voxels', population.identical_labels, 'One label for different images'),
    Check('swapped_sides', 'error', 'voxels', side.swapped_sides, 'Left and right exchanged'),
    Check('unlikely_place', 'warning', 'voxels', side.unlikely_places, 'Organs on the wrong side of one another'),
    Check('config', 'error', 'machine', limit.config_problems, 'Parts of the config that do not fit'),
    Check('trial', 'error', 'machine', limit.failed_trial, 'Trial iterations that failed'),
    Check('unwritable_folder', 'error', 'machine', limit.unwritable_folders, 'Folders that cannot be written to'),
    Check('full_disk', 'error', 'machine', limit.full_disks, 'Too little disk space'),
    Check('perhaps_full_disk', 'warning', 'machine', limit.perhaps_full_disks, 'Perhaps too little disk space'),
    Check('short_memory', 'error', 'machine', limit.short_memory, 'Too little memory'),
    Check('short_gpu_memory', 'error', 'machine', limit.short_gpu_memory, 'Too little GPU memory'),
    Check('short_shared_memory', 'error', 'machine', limit.short_shared_memory, 'Too little shared memory'),
    Check('few_open_files', 'warning', 'machine', limit.few_open_files, 'Too few open files allowed'),
    Check('too_many_workers', 'note', 'machine', limit.too_many_workers, 'More workers than cores'),
)


def run_checks(facts: Facts, parts: Collection[Part] = ('list', 'header', 'voxels', 'machine')) -> list[Finding]:
    """Findings of all checks of some parts, errors first, then in the order of the table.

    Args:
        facts: As far as they were read.
        parts: Of the table.
    """
    found = [
        Finding(check.name, check.severity, *problem)
        for check in CHECKS
        if check.part in parts
        for problem in check.find(facts)
    ]
    return sorted(dict.fromkeys(found), key=lambda finding: SEVERITIES.index(finding.severity))

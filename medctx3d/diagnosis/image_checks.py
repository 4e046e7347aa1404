"""Checks of the voxels of single images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from medctx3d.datasets.intensity_window import intensity_problem
from medctx3d.diagnosis.facts import CaseFacts, Facts, FileFacts, IntensityFacts, SplitFacts
from medctx3d.diagnosis.finding import Problem, told_problem

_MOSTLY = 0.995  # of all voxels with one value: almost nothing is shown
_SATURATED = 0.02  # of all voxels at the highest value
_FEW = 0.01  # of all voxels inside the window


def unreadable_voxels(facts: Facts) -> Iterator[Problem]:
    """Files whose voxels cannot be read: truncated, damaged, too large."""
    for case, file in facts.files():
        if file.voxel_problem:
            yield told_problem(file.voxel_problem, file.path, case.case)


def nonfinite_images(facts: Facts) -> Iterator[Problem]:
    """NaN, infinity, or beyond float32."""
    for _, case, file, channel in _channels(facts):
        if channel.nonfinite:
            yield Problem(
                file.path,
                f'voxels must be finite, {channel.nonfinite} are NaN or infinite (or beyond float32), the first at '
                f'index {channel.first_nonfinite}',
                "Replace them by the background's value: numpy.nan_to_num(voxels, nan=...)",
                case.case,
            )


def constant_images(facts: Facts) -> Iterator[Problem]:
    """Images, or channels, of a single value."""
    for _, case, file, channel in _channels(facts):
        if channel.minimum == channel.maximum and not channel.nonfinite:
            yield Problem(
                file.path,
                f'an image must show something, all its voxels are {channel.minimum:g}',
                'Fetch or convert it again',
                case.case,
            )


def nearly_constant_images(facts: Facts) -> Iterator[Problem]:
    """Images of which almost all voxels have one value."""
    for _, case, file, channel in _channels(facts):
        if channel.minimum < channel.maximum and channel.common_share > _MOSTLY:
            yield Problem(
                file.path,
                f'{channel.common_share:.1%} of its voxels are {channel.common:g}',
                'See whether the scan is whole, and crop what is empty',
                case.case,
            )


def images_outside_window(facts: Facts) -> Iterator[Problem]:
    """Images that the window turns into a single value."""
    for split, case, file, channel in _channels(facts):
        window = split.pipeline.window
        if window is not None and channel.minimum < channel.maximum and _beyond(channel, window):
            yield Problem(
                file.path,
                f'intensities lie between {channel.minimum:g} and {channel.maximum:g}, the load pipeline keeps '
                f'{window[0]:g} to {window[1]:g}: every voxel becomes the same',
                'See whether unit and modality are right, or change the window',
                case.case,
            )


def images_unlike_window(facts: Facts) -> Iterator[Problem]:
    """Images that hardly fit the window: another unit, offset or modality."""
    for split, case, file, channel in _channels(facts):
        window = split.pipeline.window
        if window is None or channel.minimum == channel.maximum or _beyond(channel, window):
            continue
        names = tuple(split.metainfo.get('channels') or ('image',))
        told = intensity_problem((channel.minimum, channel.maximum), window, names)
        if not told and channel.inside_window is not None and channel.inside_window < _FEW:
            told = (
                f'{channel.inside_window:.2%} of its voxels lie between {window[0]:g} and {window[1]:g}, which the '
                'load pipeline keeps. See whether unit and modality are right'
            )
        if told:
            yield Problem(
                file.path,
                told.split('. ')[0],
                'See whether it is in its original unit (HU for CT) and of the right kind',
                case.case,
            )


def images_beyond_store(facts: Facts) -> Iterator[Problem]:
    """Intensities that the store's type cannot hold, where nothing scales them first."""
    for split, case, file, channel in _channels(facts):
        kind = split.pipeline.image_dtype
        if not kind or split.pipeline.scales:
            continue
        limit = np.iinfo(kind) if kind == 'int16' else np.finfo(kind)
        if channel.minimum < float(limit.min) or channel.maximum > float(limit.max):
            yield Problem(
                file.path,
                f'intensities from {channel.minimum:g} to {channel.maximum:g} do not fit image_dtype={kind!r} '
                f'({limit.min:g} to {limit.max:g})',
                "Normalise in load_pipeline, or set store=dict(..., image_dtype='float32')",
                case.case,
            )


def images_like_labels(facts: Facts) -> Iterator[Problem]:
    """Images that hold a few whole numbers only, as labels do."""
    for split, case, file, channel in _channels(facts):
        if 1 < channel.distinct <= max(len(split.classes), 2) and channel.whole:
            yield Problem(
                file.path,
                f'it holds {channel.distinct} different whole numbers only, as a label does',
                'See whether image and label were swapped',
                case.case,
            )


def saturated_images(facts: Facts) -> Iterator[Problem]:
    """Images whose brightest voxels were cut off."""
    for split, case, file, channel in _channels(facts):
        few = 1 < channel.distinct <= max(len(split.classes), 2)
        inner = split.pipeline.window is None or channel.maximum < split.pipeline.window[1]
        if channel.minimum < channel.maximum and channel.top_share > _SATURATED and not few and inner:
            yield Problem(
                file.path,
                f'{channel.top_share:.1%} of its voxels have the highest value, {channel.maximum:g}: they were cut '
                'off, or the background is white',
                'Convert again without clipping, if what is bright matters',
                case.case,
            )


def blank_slices(facts: Facts) -> Iterator[Problem]:
    """Slices of one value between others: lost in a conversion."""
    for _, case, file, channel in _channels(facts):
        if channel.blank_slices:
            count, first = len(channel.blank_slices), channel.blank_slices[0]
            yield Problem(
                file.path,
                f'{count} slice(s) between others hold a single value, the first at index {first}',
                'Convert again; a slice was probably lost',
                case.case,
            )


def _beyond(channel: IntensityFacts, window: tuple[float, float]) -> bool:
    return channel.maximum <= window[0] or channel.minimum >= window[1]


def _channels(facts: Facts) -> Iterator[tuple[SplitFacts, CaseFacts, FileFacts, IntensityFacts]]:
    """Every channel of every image whose voxels were read, once."""
    seen = set()
    for split in facts.splits:
        for case in split.cases:
            for file in case.images:
                if file.image and file.path not in seen:
                    seen.add(file.path)
                    for channel in file.image.channels:
                        yield split, case, file, channel

"""Histograms of a data set: voxel sizes, extents, intensities, class volumes."""

from __future__ import annotations

from typing import Any

from medctx3d.diagnosis import Facts
from medctx3d.reporting.svg import histogram

_AXES = 'XYZ'


def charts(facts: Facts) -> dict[str, list[dict[str, Any]]]:
    """Titles and pictures by section; a section without values is left out."""
    headers = [case.first for case in facts.cases() if case.first]
    channels = [case.images[0].image.channels[0] for case in facts.cases() if case.images[0].image]
    volumes: dict[str, list[float]] = {}
    for split in facts.splits:
        for case in split.cases:
            for number, found in case.classes.items():
                volumes.setdefault(split.classes[number], []).append(found.volume_ml)
    sections = {
        'Voxel size': [(f'along {a}', [h.spacing[i] for h in headers], 'mm', False) for i, a in enumerate(_AXES)],
        'Extent': [
            (f'along {a}', [h.shape[i] * h.spacing[i] for h in headers], 'mm', False) for i, a in enumerate(_AXES)
        ],
        'Intensity': [
            ('lowest (0.5 %)', [c.quantiles[0] for c in channels], 'unit of the files', False),
            ('median of what is shown', [c.quantiles[1] for c in channels], 'unit of the files', _wide(channels, 1)),
            ('highest (99.5 %)', [c.quantiles[2] for c in channels], 'unit of the files', _wide(channels, 2)),
        ],
        'Class volume': [(name.replace('_', ' '), values, 'mL', False) for name, values in volumes.items()],
    }
    drawn = {
        section: [
            dict(title=f'{section} {title}', svg=histogram(f'{section} {title}', values, unit=unit, log=log))
            for title, values, unit, log in entries
            if values
        ]
        for section, entries in sections.items()
    }
    return {section: pictures for section, pictures in drawn.items() if pictures}


def _wide(channels: list[Any], part: int) -> bool:
    """Whether values differ by orders of magnitude, as MR scales do."""
    values = [channel.quantiles[part] for channel in channels]
    return bool(values) and min(values) > 0 and max(values) > 50 * min(values)

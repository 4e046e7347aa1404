"""The worst and best cases of a test as pictures and as volumes for the viewer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from medctx3d.datasets import VolumeDataset
from medctx3d.reporting.pictures import Picture, draw_case
from medctx3d.reporting.shown_case import ShownCase, read_case, saved_predictions
from medctx3d.reporting.volumes import pack_case


class Gallery(NamedTuple):
    """What is shown of cases.

    Attributes:
        pictures: Planes by case.
        volumes: From :func:`~medctx3d.reporting.volumes.pack_case`.
        missing: Sentences about what could not be shown.
    """

    pictures: dict[str, list[Picture]]
    volumes: list[dict[str, Any]]
    missing: list[str]


def show_cases(
    ranking: Mapping[str, Any], dataset: VolumeDataset | None, results: Path | None, *, budget: int
) -> Gallery:
    """Draw and pack the cases that a ranking names.

    Args:
        ranking: ``worst`` and ``best``, case ids.
        dataset: Of the test split; None shows nothing.
        results: Folder with ``predictions/``.
        budget: Bytes for the volumes of all cases.
    """
    gallery = Gallery({}, [], [])
    wanted = [*ranking['worst'], *ranking['best']]
    if dataset is None or not wanted:
        return gallery
    predictions = saved_predictions(results)
    if predictions is None:
        gallery.missing.append(
            'No predictions: cases are shown with their truth alone. Test again with --save-predictions.'
        )
    records = {record['case']: record for record in dataset.data_list}
    for name in wanted:
        if name not in records:
            gallery.missing.append(f'Case {name} cannot be shown: it is not in the test split of the config.')
            continue
        try:
            case = read_case(records[name], dataset, predictions)
        except (OSError, ValueError) as error:
            gallery.missing.append(f'Case {name} cannot be shown: {error}')
            continue
        if case.prediction is None and predictions is not None:
            gallery.missing.append(f'Case {name} has no file in predictions: it is shown with its truth alone.')
        _add(gallery, case, budget // len(wanted))
    return gallery


def _add(gallery: Gallery, case: ShownCase, budget: int) -> None:
    slices = case.slices()
    gallery.pictures[case.case] = draw_case(case, slices)
    packed = pack_case(case, budget, start=slices)
    if packed is None:
        gallery.missing.append(f'Case {case.case} is too large for the viewer of a page of this size (--page-mb).')
    else:
        gallery.volumes.append(packed)

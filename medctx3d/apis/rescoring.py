"""Score folders of saved label volumes: every case against its truth, several at a time."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, NamedTuple

import numpy as np
from nibabel.filebasedimages import ImageFileError
from rich.progress import track

from medctx3d.apis.truth_files import Truth
from medctx3d.datasets.checks import check_same_grid, few
from medctx3d.evaluation.metrics.case_scores import score_case
from medctx3d.evaluation.metrics.class_names import scored_classes
from medctx3d.evaluation.metrics.score_rules import ScoreRules, check_rules, check_tolerances, state_rules
from medctx3d.evaluation.metrics.summary import Scores, summarize
from medctx3d.utils.geometry import spacing_of, to_source_grid
from medctx3d.utils.nifti import read_labels
from medctx3d.utils.volume_file import VolumeError, read_header


class Rescoring(NamedTuple):
    """How a folder is scored.

    Attributes:
        rules: What is computed.
        prediction_map: Value in the predicted files to class id.
        resample: Bring predictions of another grid to that of the truth, each voxel taking the nearest value.
        partial: Score the cases that both have and that can be read; else all must be there.
        workers: Processes.
    """

    rules: ScoreRules
    prediction_map: Mapping[int, int] | None = None
    resample: bool = False
    partial: bool = False
    workers: int = 1


def rescore(predictions: Mapping[str, str], truth: Truth, how: Rescoring) -> dict[str, Any]:
    """Score predicted label files.

    Args:
        predictions: Case to file.
        truth: What they are compared with.
        how: Rules and what is put up with.

    Returns:
        As :func:`~medctx3d.evaluation.metrics.summary.summarize`, and ``files``: what was ``missing``, ``extra``,
        ``resampled`` and ``failed`` (case to reason), and how values were mapped.

    Raises:
        ValueError: Rules, cases, grids or class ids break a rule; the message names the cases.
    """
    check_rules(how.rules)
    names = scored_classes(truth.metainfo['classes'], truth.metainfo.get('regions'))
    check_tolerances(how.rules, names)
    cases = _shared_cases(predictions, truth.files, partial=how.partial)
    pairs = [(case, truth.files[case], predictions[case]) for case in cases]
    elsewhere, unreadable = _compare_grids(pairs, resample=how.resample)
    work = [(*pair, truth.metainfo, how, pair[0] in elsewhere) for pair in pairs if pair[0] not in unreadable]
    scored, failed = _score_all(work, how.workers)
    failed = {**unreadable, **failed}
    if failed and (not how.partial or not scored):
        told = '\n  '.join(failed.values())
        raise ValueError(
            f'{len(failed)} of {len(cases)} cases cannot be scored (--partial leaves them out):\n  {told}'
        )
    regions = truth.metainfo.get('regions') or {}
    results = summarize(
        [dict(case=case, classes=scored[case]) for case in cases if case in scored],
        reported=truth.metainfo.get('reported') or [name for name in names if name not in regions],
        rules=dict(state_rules(how.rules), grid='source'),
        regions=regions,
    )
    results['files'] = dict(
        missing=[case for case in truth.files if case not in predictions],
        extra=[case for case in predictions if case not in truth.files],
        resampled=[case for case in elsewhere if case in scored],
        failed=failed,
        label_map=dict(truth.metainfo.get('label_map') or {}),
        prediction_map=dict(how.prediction_map or {}),
    )
    return results


def _shared_cases(predictions: Mapping[str, str], truths: Mapping[str, str], *, partial: bool) -> list[str]:
    missing = [case for case in truths if case not in predictions]
    extra = [case for case in predictions if case not in truths]
    shared = [case for case in truths if case in predictions]
    told = [f'{len(missing)} cases have no prediction: {few(missing)}'] if missing else []
    told += [f'{len(extra)} predictions have no truth: {few(extra)}'] if extra else []
    if not shared or (told and not partial):
        way = 'no case has both' if not shared else f'--partial scores the {len(shared)} that have both'
        raise ValueError(
            f'predictions and truth must be of the same cases; {"; ".join(told)}. {way[0].upper()}{way[1:]}'
        )
    return shared


def _compare_grids(pairs: Iterable[tuple[str, str, str]], *, resample: bool) -> tuple[list[str], dict[str, str]]:
    """Cases whose prediction lies on another grid, and those with a header that cannot be read, with the reason."""
    elsewhere, unreadable, told = [], {}, []
    for case, truth, prediction in pairs:
        try:
            first, second = read_header(truth), read_header(prediction)
        except (ValueError, OSError) as error:
            unreadable[case] = f'{case}: {error}'
            continue
        try:
            check_same_grid(first, second, 'prediction')
        except VolumeError:
            elsewhere.append(case)
            sizes = [f'{header.shape} voxels of {_rounded(header.spacing)} mm' for header in (first, second)]
            told.append(f'{case}: truth {sizes[0]}, prediction {sizes[1]}')
    if elsewhere and not resample:
        raise ValueError(
            f'{len(elsewhere)} predictions lie on another grid than their truth: {"; ".join(told[:5])}. Figures of '
            'different grids are not comparable: predict on the grid of the image, or bring them to that of the '
            'truth with --resample'
        )
    return elsewhere, unreadable


def _score_all(work: list[tuple], workers: int) -> tuple[dict[str, Scores], dict[str, str]]:
    scored: dict[str, Scores] = {}
    failed: dict[str, str] = {}
    if workers == 1:
        for case, scores, reason in track((_score(*item) for item in work), 'scoring', len(work), transient=True):
            _note(case, scores, reason, scored, failed)
        return scored, failed
    with ProcessPoolExecutor(min(workers, max(1, len(work)))) as pool:
        waiting = [
            pool.submit(_score, *item) for item in work
        ]  # before the bar's thread exists, which a fork would tear
        for done in track(as_completed(waiting), 'scoring', len(waiting), transient=True):
            case, scores, reason = done.result()
            _note(case, scores, reason, scored, failed)
    return scored, failed


def _note(case: str, scores: Scores, reason: str, scored: dict[str, Scores], failed: dict[str, str]) -> None:
    if reason:
        failed[case] = reason
    else:
        scored[case] = scores


def _score(
    case: str, truth_file: str, predicted_file: str, metainfo: Mapping[str, Any], how: Rescoring, elsewhere: bool
) -> tuple[str, Scores, str]:
    """A case, its scores, and why there are none (empty where there are)."""
    try:
        truth = _read(truth_file, metainfo.get('label_map'), metainfo['classes'], '--label-map')
        prediction = _read(predicted_file, how.prediction_map, metainfo['classes'], '--prediction-map')
        header = read_header(truth_file)
        if elsewhere:
            prediction = to_source_grid(
                prediction, read_header(predicted_file).affine, header.affine, header.shape[:3]
            )
        names = scored_classes(metainfo['classes'], metainfo.get('regions'))
        scores = score_case(truth, prediction, spacing=spacing_of(header.affine), classes=names, rules=how.rules)
        return case, scores, ''
    except (ValueError, OSError) as error:
        return case, {}, f'{case}: {error}'


def _read(path: str, label_map: Mapping[int, int] | None, classes: Any, option: str) -> np.ndarray:
    try:
        labels = read_labels(path, label_map)
    except (EOFError, OSError, ImageFileError, zlib.error) as error:
        raise VolumeError(f'{path} cannot be read ({error}): copy or write it again') from error
    if labels.min(initial=0) < 0 or labels.max(initial=0) >= len(classes):
        unknown = [int(value) for value in np.unique(labels) if not 0 <= value < len(classes)]
        raise VolumeError(
            f'{path} holds class ids {unknown[:5]}, the class list ends at {len(classes) - 1} ({classes[-1]}): give '
            f'all classes, or {option} OLD=NEW (NEW 0 is the background)'
        )
    return labels


def _rounded(spacing: Iterable[float]) -> str:
    return ' x '.join(f'{edge:.3g}' for edge in spacing)

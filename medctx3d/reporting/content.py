"""All that a report says in words and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from mmengine.config import Config

from medctx3d.datasets import VolumeDataset
from medctx3d.reporting.data_summary import summarize_splits
from medctx3d.reporting.run_facts import report_environment, training_environment
from medctx3d.reporting.scores import case_scores, ranking_metric, worst_and_best
from medctx3d.reporting.training_log import floors_of, read_curves
from medctx3d.reporting.work_dir import WorkDir, newest_config, read_results
from medctx3d.version import __version__

_OF_RESULTS = ('mean', 'mean_all', 'classes', 'rules')


def gather(
    found: WorkDir, cases: int, options: dict[str, Any] | None = None
) -> tuple[dict[str, Any], VolumeDataset | None]:
    """Read a work dir's log, results, configs and data lists.

    Args:
        found: From :func:`~medctx3d.reporting.work_dir.find_work_dir`.
        cases: How many of the worst and how many of the best cases are named.
        options: Of ``--cfg-options``.

    Returns:
        Content of ``report.json``, of which ``missing`` lists in sentences what is not there; and the data set of the
        test split, if there is one.

    Raises:
        ValueError: A file of the work dir is unreadable.
    """
    results = read_results(found)
    training, validation, broken = read_curves(found.trainings)
    splits, problems, datasets = summarize_splits(found, options)
    tested = datasets.get('test')
    config = newest_config(found, 'train') or newest_config(found, 'test')
    content = dict(
        title=found.root.resolve().name,
        written=datetime.now(timezone.utc).isoformat(timespec='seconds'),
        medctx3d=__version__,
        missing=_missing(found, broken, problems, tested is None),
        training=training,
        validation=validation,
        floors=floors_of(config),
        splits=splits,
        classes=list(tested.metainfo.get('classes', ())) if tested is not None else [],
        **_scored(results, cases),
        environment=dict(training=training_environment(found.trainings), report=report_environment()),
        **_configured(config),
    )
    return content, tested


def _scored(results: dict[str, Any] | None, count: int) -> dict[str, Any]:
    if results is None:
        return dict(results=None, cases=[], ranking=dict(metric=None, worst=[], best=[]))
    scores, metric = case_scores(results), ranking_metric(results)
    worst, best = worst_and_best(scores, metric, count)
    return dict(
        results={key: results[key] for key in _OF_RESULTS if key in results},
        cases=[score._asdict() for score in scores],
        ranking=dict(metric=metric, worst=worst, best=best),
    )


def _configured(config: Config | None) -> dict[str, Any]:
    if config is None:
        return dict(seeds={}, config='')
    return dict(seeds=dict(config.get('randomness') or {}), config=Path(config.filename).read_text(encoding='utf-8'))


def _missing(found: WorkDir, broken: int, problems: Sequence[str], untested: bool) -> list[str]:
    sentences = []
    if found.results is None:
        sentences.append('No results.json: nothing was tested yet, or tools/test.py wrote elsewhere (--results).')
    if not found.trainings:
        sentences.append('No scalars.json, so no training curves: mmengine writes it with LocalVisBackend.')
    if broken:
        sentences.append(f'{broken} line(s) of scalars.json could not be read and were left out.')
    if not found.configs:
        sentences.append('No config: neither data nor cases can be shown.')
    elif untested and found.results is not None and not problems:
        sentences.append('No config names a test split: the cases cannot be shown.')
    return [*sentences, *problems]

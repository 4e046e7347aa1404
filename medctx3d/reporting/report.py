"""Write what a work dir holds as a page, as Markdown and as JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from medctx3d.evaluation.report import without_nan
from medctx3d.reporting.content import gather
from medctx3d.reporting.gallery import show_cases
from medctx3d.reporting.page import render_markdown, render_page
from medctx3d.reporting.work_dir import find_work_dir
from medctx3d.utils.atomic import atomic_path, require_writable

_MB = 10**6
_VIEWER = 4 * _MB  # of the page's budget: viewer, pictures, tables and text


class Report(NamedTuple):
    """The files of a report."""

    page: Path
    markdown: Path
    data: Path


def write_report(
    work_dir: str | os.PathLike[str],
    *,
    results: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    cases: int = 3,
    page_mb: float = 12.0,
    options: dict[str, Any] | None = None,
    safe: bool = False,
) -> Report:
    """Write ``report.html``, ``report.md`` and ``report.json`` about a run.

    What the work dir lacks is said in the report. The page holds pictures and volumes of cases: whoever gets it, gets
    those.

    Args:
        work_dir: Of ``tools/train.py`` and ``tools/test.py``.
        results: Folder of ``results.json`` and ``predictions/``, if it is another.
        out: Folder for the three files; default: the work dir.
        cases: How many of the worst and how many of the best cases are shown; 0 shows none.
        page_mb: Size in MB (10^6 bytes) that volumes are made coarser for, so that the page stays within it.
        options: Of ``--cfg-options``, for configs whose data have moved.
        safe: The work dir is not trusted: its configs are read as data.

    Raises:
        FileNotFoundError: A folder is missing.
        ValueError: The folder is no work dir, an argument is out of its range, or a file in it is unreadable.
        OSError: ``out`` cannot be written to.
    """
    if cases < 0:
        raise ValueError(f'cases must be 0 or more, got {cases}')
    if page_mb * _MB < _VIEWER + _MB:
        raise ValueError(f'page_mb must be at least {(_VIEWER + _MB) / _MB:g}, got {page_mb:g}')
    found = find_work_dir(work_dir, results, safe=safe)
    folder = require_writable(work_dir if out is None else out, '--out')
    content, dataset = gather(found, cases, options)
    gallery = show_cases(content['ranking'], dataset, found.results, budget=int(page_mb * _MB) - _VIEWER)
    content['missing'] += gallery.missing
    report = Report(folder / 'report.html', folder / 'report.md', folder / 'report.json')
    _write(report.page, render_page(content, gallery.pictures, gallery.volumes))
    _write(report.markdown, render_markdown(content))
    _write(report.data, json.dumps(without_nan(content), indent=1, allow_nan=False) + '\n')
    return report


def _write(file: Path, text: str) -> None:
    with atomic_path(file) as draft:
        draft.write_text(text, encoding='utf-8')

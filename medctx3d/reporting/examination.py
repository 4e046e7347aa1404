"""Write what an examination of data and machine found, as a page and as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from nibabel.orientations import aff2axcodes

from medctx3d.diagnosis import CHECKS, SEVERITIES, CaseFacts, Facts, FileFacts, Finding, SplitFacts
from medctx3d.evaluation.report import without_nan
from medctx3d.reporting.examination_charts import charts
from medctx3d.reporting.machine_table import forecast_words, machine_rows
from medctx3d.reporting.page import environment, read_asset
from medctx3d.utils.atomic import atomic_path
from medctx3d.version import __version__

_VERDICTS = {
    'error': ('Not ready', 'A training would stop, or learn something wrong. Correct the errors first'),
    'warning': ('Look first', 'Nothing stops a training, but some of the data are probably not what they should be'),
    'note': ('Ready', 'Nothing that was looked for stands in the way of a training'),
}


def write_examination(
    name: str, facts: Facts, findings: Sequence[Finding], *, html: str | os.PathLike[str], data: str | os.PathLike[str]
) -> None:
    """Write both files, each whole or not at all.

    Args:
        name: Of the config.
        facts: All that was read.
        findings: Errors first.
        html: The page; one file that needs no network. It holds case ids and paths, no image.
        data: The same as JSON.

    Raises:
        OSError: They cannot be written.
    """
    content = gather_content(name, facts, findings)
    page = (
        environment(html=True)
        .get_template('examination.html.j2')
        .render(
            **content,
            title=f'Data of {Path(name).stem}',
            groups=_groups(findings),
            charts=charts(facts),
            style=Markup(read_asset('templates/report.css')),
        )
    )
    for file, text in ((html, page), (data, json.dumps(without_nan(content), indent=1, allow_nan=False) + '\n')):
        with atomic_path(file) as draft:
            draft.write_text(text, encoding='utf-8')


def gather_content(name: str, facts: Facts, findings: Sequence[Finding]) -> dict[str, Any]:
    """All that page and JSON say, in plain values."""
    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in SEVERITIES}
    worst = next((severity for severity in SEVERITIES if counts[severity] and severity != 'note'), 'note')
    word, sentence = _VERDICTS[worst]
    return dict(
        config=name,
        written=datetime.now(timezone.utc).isoformat(timespec='seconds'),
        medctx3d=__version__,
        verdict=dict(severity=worst, word=word, sentence=sentence, counts=counts),
        findings=[finding._asdict() for finding in findings],
        checks=[
            dict(name=check.name, severity=check.severity, title=check.title, part=check.part, found=found)
            for check in CHECKS
            for found in [sum(finding.check == check.name for finding in findings)]
        ],
        splits=[_split(split) for split in facts.splits],
        presence=_presence(facts),
        machine=machine_rows(facts),
        forecast=facts.forecast._asdict() if facts.forecast else {},
        forecast_words=forecast_words(facts.forecast, facts.machine),
        cases=[_case(split, case) for split in facts.splits for case in split.cases],
    )


def _groups(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings by check, in their order, with the check's title."""
    titles = {check.name: check.title for check in CHECKS}
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.check, []).append(finding)
    return [
        dict(check=check, title=titles[check], severity=found[0].severity, findings=found)
        for check, found in groups.items()
    ]


def _split(split: SplitFacts) -> dict[str, Any]:
    return dict(
        stage=split.name,
        split=split.split,
        source=split.source,
        cases=len(split.cases),
        labelled=sum(case.label is not None for case in split.cases),
        orientations=_counted(''.join(aff2axcodes(case.first.affine)) for case in split.cases if case.first),
        types=_counted(str(case.first.dtype) for case in split.cases if case.first),
    )


def _counted(values: Any) -> dict[str, int]:
    found, counts = np.unique([*values], return_counts=True)
    return {str(value): int(count) for value, count in zip(found, counts, strict=True)}


def _presence(facts: Facts) -> list[dict[str, Any]]:
    """Cases that show each class, by split and by fold of the training split."""
    rows = []
    for split in facts.splits:
        rows.append(_presence_row(split.name, split, split.cases))
        for number, fold in enumerate(facts.folds if split.trains else (), start=1):
            cases = [case for case in split.cases if case.case in fold]
            rows.append(_presence_row(f'{split.name}, fold {number} of {len(facts.folds)}', split, cases))
    return rows


def _presence_row(title: str, split: SplitFacts, cases: Sequence[CaseFacts]) -> dict[str, Any]:
    shown = {
        name: sum(number in case.classes for case in cases) for number, name in enumerate(split.classes) if number
    }
    return dict(title=title, cases=len(cases), classes=shown)


def _case(split: SplitFacts, case: CaseFacts) -> dict[str, Any]:
    return dict(
        case=case.case,
        split=split.name,
        subject=case.record.get('subject'),
        images=[_file(file) for file in case.images],
        label=_file(case.label) if case.label else None,
        volumes_ml={split.classes[number]: round(found.volume_ml, 4) for number, found in case.classes.items()},
        centroids_mm={split.classes[number]: _rounded(found.centroid) for number, found in case.classes.items()},
    )


def _file(file: FileFacts) -> dict[str, Any]:
    facts: dict[str, Any] = dict(path=file.path)
    if file.header:
        facts.update(
            shape=list(file.header.shape),
            spacing_mm=_rounded(file.header.spacing),
            orientation=''.join(aff2axcodes(file.header.affine)),
            affine=np.round(file.header.affine, 6).tolist(),
            dtype=str(file.header.dtype),
        )
    if file.image:
        facts.update(digest=file.image.digest, channels=[_channel(c._asdict()) for c in file.image.channels])
    if file.label:
        facts.update(digest=file.label.digest, values={f'{v:g}': n for v, n in file.label.stored.items()})
    return facts


def _channel(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in facts.items()}


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(float(value), 4) for value in values]

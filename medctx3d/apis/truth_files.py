"""The truth that saved predictions are judged by: label files by case, and what their values mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from medctx3d.apis.case_files import find_cases
from medctx3d.apis.splits import check_config_splits
from medctx3d.datasets.checks import few
from medctx3d.datasets.datalist import decathlon_metainfo, decathlon_records


class Truth(NamedTuple):
    """Where the truth lies and how it is read.

    Attributes:
        files: Case to label file.
        metainfo: ``classes``, and where they apply ``label_map``, ``reported`` and ``regions``.
    """

    files: dict[str, str]
    metainfo: dict[str, Any]


def find_truth(
    source: Path | None,
    *,
    config: Config | None = None,
    split: str = 'test',
    metainfo: Mapping[str, Any] | None = None,
) -> Truth:
    """Find label files and class names.

    Args:
        source: A folder of label files, ``<case>.nii.gz`` or another format; a Decathlon JSON; or None, which takes
            those of the config.
        config: Whose ``test_dataloader`` names the cases, classes, regions and the label map.
        split: Which list of a JSON.
        metainfo: Goes before what the JSON or the config say.

    Raises:
        ValueError: There is neither folder nor list nor config, no class names, or a case without label.
        FileNotFoundError: A file or folder is missing.
    """
    facts: dict[str, Any] = {}
    files: dict[str, str] = {}
    if config is not None:
        dataset = check_config_splits(config, ['test'])[0]
        facts.update(dataset.metainfo)
        if source is None:
            files = _labels(dataset.data_list, str(config.filename))
    elif source is None:
        raise ValueError('--truth DIR_OR_JSON or --config CONFIG must say what the predictions are compared with')
    if source is not None and source.suffix == '.json':
        files = _labels(decathlon_records(source, split=split), f'{source}: {split}')
        facts = {**decathlon_metainfo(source), **facts}
    elif source is not None:
        files = label_files(source)
    facts.update({key: value for key, value in (metainfo or {}).items() if value})
    if not facts.get('classes'):
        raise ValueError(f'{source} has no class names: give --classes background NAME ..., in the order of their ids')
    return Truth(files, facts)


def label_files(folder: Path) -> dict[str, str]:
    """Case to file of all label files of a folder; the case is the file's name without suffix.

    Raises:
        ValueError: It is no folder.
        FileNotFoundError: It holds no volume.
    """
    if not folder.is_dir():
        raise ValueError(f'{folder} must be a folder of label files, <case>.nii.gz; it is {_kind(folder)}')
    return {case.name: case.files[0] for case in find_cases([folder])}


def _labels(records: Sequence[Mapping[str, Any]], where: str) -> dict[str, str]:
    without = [str(record['case']) for record in records if not record.get('label')]
    if without:
        raise ValueError(f'{where}: {len(without)} cases have no label to compare with: {few(without)}')
    return {str(record['case']): str(record['label']) for record in records}


def _kind(path: Path) -> str:
    return 'a file' if path.exists() else 'not there'

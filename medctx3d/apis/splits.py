"""The splits of a config: checked against each other, then file by file, before anything is trained."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from mmengine.config import Config
from mmengine.logging import print_log

from medctx3d.datasets import VolumeDataset
from medctx3d.datasets.checks import few
from medctx3d.diagnosis import CHEAP, Finding, run_checks
from medctx3d.diagnosis.gathering import gather
from medctx3d.diagnosis.pipeline_facts import PipelineFacts
from medctx3d.registry import DATASETS
from medctx3d.utils.config_check import ConfigError
from medctx3d.utils.volume_file import VolumeError

STAGES = ('train', 'val', 'test')
_TOLD = 5  # findings of one check that are told in full
_WHERE = 'in lists and headers (tools/doctor.py CONFIG looks at voxels too)'
_MISSING = ('missing_file', 'unusable_list')


def check_config_splits(config: Config, stages: Sequence[str] = STAGES) -> list[VolumeDataset]:
    """Refuse a config whose lists or headers are unusable, or whose splits share a case; voxels are not read.

    This is the cheap half of ``tools/doctor.py``: all errors are told at once, and warnings are logged.

    Args:
        config: With ``train_dataloader``, ``val_dataloader`` and ``test_dataloader``, each of which may be missing.
        stages: Whose files are checked.

    Returns:
        The data sets of ``stages``, each with its list.

    Raises:
        ValueError: A split is empty, a case is in two splits, or a header breaks a rule; the message has all of them.
        FileNotFoundError: Lists or files are missing, and nothing else is wrong.
    """
    datasets = config_datasets(config, stages)
    found = run_checks(gather(datasets, voxels=False), CHEAP)
    _refuse([finding for finding in found if finding.severity == 'error'])
    warnings = [finding for finding in found if finding.severity == 'warning']
    if warnings and os.environ.get('RANK', '0') == '0':  # before the process group exists
        print_log(told(warnings, _WHERE, 'warning'), logger='current', level=logging.WARNING)
    return [dataset for dataset, _ in datasets.values()]


def config_datasets(config: Config, stages: Sequence[str] = STAGES) -> dict[str, tuple[VolumeDataset, PipelineFacts]]:
    """The data sets of a config by stage, lists not read yet, with what is done to their images.

    Data sets of other classes than :class:`~medctx3d.datasets.VolumeDataset` are left out.
    """
    built = {stage: _build(config, stage) for stage in stages if config.get(f'{stage}_dataloader')}
    return {
        stage: (dataset, PipelineFacts.of(config[f'{stage}_dataloader']['dataset']))
        for stage, dataset in built.items()
        if isinstance(dataset, VolumeDataset)
    }


def told(findings: Sequence[Finding], where: str, what: str = 'problem') -> str:
    """Findings as lines, grouped by check; of many like ones the first are named.

    Args:
        findings: In the order to be told.
        where: Ends the first line, ``3 problems ...:``.
        what: They are called there.
    """
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.check, []).append(finding)
    lines = []
    for group in groups.values():
        lines += [f'  {finding}' for finding in group[:_TOLD]]
        if len(group) > _TOLD:
            lines.append(
                f'  and {len(group) - _TOLD} more ({group[0].check}): {few([f.where for f in group[_TOLD:]])}'
            )
    count = f'{len(findings)} {what}{"s" if len(findings) > 1 else ""}'
    return '\n'.join([f'{count} {where}:', *lines])


def _refuse(errors: Sequence[Finding]) -> None:
    if not errors:
        return
    missing = all(finding.check in _MISSING and 'no such' in finding.reason for finding in errors)
    text = str(errors[0]) if len(errors) == 1 else told(errors, _WHERE, 'error')
    raise FileNotFoundError(text) if missing else VolumeError(text)


def prepare_splits(datasets: Sequence[VolumeDataset]) -> None:
    """Read every voxel once: into the store where there is one, else only to see that it can be used.

    Args:
        datasets: From :func:`check_config_splits`.

    Raises:
        ValueError: A volume breaks a rule; the message names the file.
        OSError: A file cannot be read, or the disk of the store is full.
    """
    for dataset in datasets:
        dataset.prepare_volumes()


def require_labels(datasets: Sequence[VolumeDataset]) -> None:
    """Refuse cases without truth where they are to be scored.

    Raises:
        ValueError: Cases have no label; the message names up to five.
    """
    for dataset in datasets:
        bare = [str(record['case']) for record in dataset.data_list if not record.get('label')]
        if bare:
            raise ValueError(
                f'{dataset.ann_file}: every case of split {dataset.split!r} needs a label to be scored, {len(bare)} '
                f'have none: {few(bare)}. Add "label" to the list, or segment them with tools/infer.py'
            )


def _build(config: Config, stage: str) -> object:
    try:
        return DATASETS.build(dict(config[f'{stage}_dataloader']['dataset'], lazy_init=True))
    except (TypeError, KeyError) as error:
        words = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise ConfigError(f'{stage}_dataloader.dataset cannot be built: {words}') from error

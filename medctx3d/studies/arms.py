"""The configs of a comparison, and what they must have in common."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from medctx3d.apis.config_consistency import check_consistency, require_keys
from medctx3d.apis.splits import check_config_splits, prepare_splits, require_labels
from medctx3d.datasets import VolumeDataset
from medctx3d.datasets.checks import Record, few, image_paths
from medctx3d.engine.launch import load_config
from medctx3d.evaluation import VolumeMetric
from medctx3d.registry import DATASETS, METRICS
from medctx3d.utils.config_check import ConfigError, check_config

_VALIDATION = ('val_dataloader', 'val_cfg', 'val_evaluator')
_OUTPUT = ('out_dir', 'save_predictions', 'show_table')  # of the metric: where figures go, not what they are


class Arm(NamedTuple):
    """One config of a comparison.

    Attributes:
        name: The config's file name without suffix, or what the command line calls it.
        config: Merged, without validation, work dir, seed and subset.
        factor: Its ``equal_compute``: how many times the others' iterations it gets; None where it states none.
        datasets: Of its training and its test split, each with its list read.
    """

    name: str
    config: Config
    factor: float | None
    datasets: tuple[VolumeDataset, VolumeDataset]

    @property
    def train(self) -> list[Record]:
        """Labelled cases of the training split."""
        return [record for record in self.datasets[0].data_list if record.get('label')]

    @property
    def test(self) -> list[Record]:
        """Cases of the test split."""
        return self.datasets[1].data_list

    @property
    def metainfo(self) -> dict[str, Any]:
        """Classes, channels and what else the training set knows."""
        return dict(self.datasets[0].metainfo)

    @property
    def iterations(self) -> int:
        """Optimiser iterations of one training."""
        return int(self.config.train_cfg.max_iters)

    @property
    def reported(self) -> list[str]:
        """Classes whose mean is reported."""
        return list(self.metainfo.get('reported') or self.metainfo['classes'][1:])


def load_arms(
    paths: Sequence[str], *, options: Mapping[str, Any] | None = None, iterations: int | None = None
) -> list[Arm]:
    """Read the configs of a comparison, check each as for a training, and all against the first.

    Args:
        paths: Config files, each ``PATH`` (its file name names the arm) or ``NAME=PATH``.
        options: ``--cfg-options``, for all of them.
        iterations: Replaces ``train_cfg.max_iters``, times ``equal_compute`` where a config states it.

    Raises:
        ConfigError: A config cannot be trained or tested, or they cannot be compared; the message has the difference.
        ValueError: A file of a split breaks a rule, or two configs have one name.
        OSError: A file is missing.
    """
    named = [_named(path) for path in paths]
    twice = sorted(name for name, times in Counter(name for name, _ in named).items() if times > 1)
    if twice:
        raise ConfigError(
            f'arms must have different names, more than once: {few(twice)}. Name one of them yourself: '
            f'{twice[0]}_2={next(path for name, path in named if name == twice[0])}'
        )
    arms = [_load(name, path, dict(options or {}), iterations) for name, path in named]
    require_comparable(arms)
    return arms


def prepare_arms(arms: Sequence[Arm]) -> None:
    """Prepare the volumes of all arms once, before jobs that run side by side ask for them."""
    prepared: list[dict[str, Any]] = []
    for arm in arms:
        for stage, dataset in zip(('train', 'test'), arm.datasets, strict=True):
            content = arm.config[f'{stage}_dataloader'].dataset.to_dict()
            content.pop('pipeline', None)
            if content not in prepared:
                prepare_splits([dataset])
                prepared.append(content)


def require_comparable(arms: Sequence[Arm]) -> None:
    """Refuse arms that differ in what they are judged by.

    Raises:
        ConfigError: Training or test volumes, classes, rules of scoring, or iterations differ; all are listed.
    """
    first = arms[0]
    for arm in arms[1:]:
        differences = [*_differences(first, arm)]
        if differences:
            lines = '\n'.join(f'  {difference}' for difference in differences)
            raise ConfigError(f'{first.name} and {arm.name} cannot be compared, make the configs agree in:\n{lines}')


def scoring(config: Config) -> dict[str, Any]:
    """How a config's test scores come about."""
    return {key: value for key, value in config.test_evaluator.items() if key not in _OUTPUT}


def _named(given: str) -> tuple[str, str]:
    name, equals, path = given.partition('=')
    if not equals:
        return Path(given).stem, given
    if not re.fullmatch(r'[\w.-]+', name):
        raise ConfigError(f'the name of an arm must be letters, digits, "_", "-" and ".", got {name!r} in {given!r}')
    return name, path


def _load(name: str, path: str, options: dict[str, Any], iterations: int | None) -> Arm:
    config = load_config(path, options)
    require_keys(config, 'train')
    require_keys(config, 'test')
    factor = _factor(config)
    if iterations is not None:
        config.train_cfg.max_iters = round((factor or 1) * iterations)
    for key in _VALIDATION:  # nothing is chosen by a validation split of the config: it may be the test split
        config[key] = None
    config.work_dir = None
    config.resume = False
    check_config(config)
    _require_divisible(config)
    check_consistency(config)
    train, test = check_config_splits(config, ['train', 'test'])
    require_labels([test])
    return Arm(name, config, factor, (train, test))


def _require_divisible(config: Config) -> None:
    """Refuse what subsets, equal lengths and common scores cannot be had of."""
    place = f'config {config.filename}'
    if not isinstance(config.train_cfg.get('max_iters'), int):
        raise ConfigError(
            f'{place}: train_cfg.max_iters must give the length of the training in a comparison, it has '
            f'{dict(config.train_cfg)}: epochs would make it depend on the number of volumes'
        )
    wanted: list[tuple[str, Any, Any, type]] = [
        (f'{stage}_dataloader.dataset', config[f'{stage}_dataloader'].dataset, DATASETS, VolumeDataset)
        for stage in ('train', 'test')
    ]
    wanted.append(('test_evaluator', config.test_evaluator, METRICS, VolumeMetric))
    for key, value, registry, base in wanted:
        kind = value.get('type') if isinstance(value, dict) else None
        component = registry.get(kind) if isinstance(kind, str) else kind
        if not (isinstance(component, type) and issubclass(component, base)):
            raise ConfigError(
                f'{place}: {key} must be one {base.__name__} (or a class of it) in a comparison, got {kind!r}: of '
                'nothing else can subsets be drawn and scores be compared'
            )


def _factor(config: Config) -> float | None:
    factor = config.get('equal_compute')
    if factor is not None and (not isinstance(factor, (int, float)) or isinstance(factor, bool) or factor <= 0):
        raise ConfigError(
            f'config {config.filename}: equal_compute must be a number above 0, how many times the iterations of the '
            f'other configs this one gets, got {factor!r}'
        )
    return factor


def _differences(first: Arm, other: Arm) -> Iterator[str]:
    yield from _cases('training split', first, other, first.train, other.train)
    yield from _cases('test split', first, other, first.test, other.test)
    for key in ('classes', 'label_map', 'reported', 'regions'):
        mine, theirs = first.metainfo.get(key), other.metainfo.get(key)
        if mine != theirs:
            yield f'metainfo.{key}: {mine} ({first.name}), {theirs} ({other.name})'
    rules, others = scoring(first.config), scoring(other.config)
    for key in sorted({*rules, *others}):
        if rules.get(key) != others.get(key):
            yield f'test_evaluator.{key}: {rules.get(key)!r} ({first.name}), {others.get(key)!r} ({other.name})'
    base = first.iterations / (first.factor or 1)
    wanted = round(base * (other.factor or 1))
    if other.iterations != wanted:
        marked = 'or state equal_compute = <factor> at the top of the longer config'
        if other.factor:
            marked = f'equal_compute = {other.factor:g} in {other.name} asks for {wanted}'
        yield (
            f'train_cfg.max_iters: {first.iterations} ({first.name}), {other.iterations} ({other.name}); {marked}. '
            '--iterations sets all'
        )


def _cases(what: str, first: Arm, other: Arm, mine: Sequence[Record], theirs: Sequence[Record]) -> Iterator[str]:
    files = [{_files(record): str(record['case']) for record in records} for records in (mine, theirs)]
    only = [[case for key, case in files[i].items() if key not in files[1 - i]] for i in (0, 1)]
    if any(only):
        told = [f'{few(cases)} only in {arm.name}' for cases, arm in zip(only, (first, other), strict=True) if cases]
        yield f'{what}: {len(mine)} volumes ({first.name}), {len(theirs)} ({other.name}); {"; ".join(told)}'


def _files(record: Record) -> tuple[str, ...]:
    paths = [*image_paths(record), str(record.get('label'))]
    return (str(record['case']), *(os.path.realpath(path) for path in paths))

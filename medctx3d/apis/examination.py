"""The whole examination of a config: its lists, files, voxels, this machine, and a few iterations of its training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmengine.config import Config
from torch import nn

from medctx3d.apis.config_consistency import check_consistency
from medctx3d.apis.splits import config_datasets
from medctx3d.datasets import VolumeDataset
from medctx3d.datasets.checks import Record
from medctx3d.datasets.disk_space import changes_extent, stored_bytes
from medctx3d.datasets.prepared_store import OPEN_VOLUMES
from medctx3d.diagnosis import CaseFacts, Facts, Finding, SplitFacts, run_checks
from medctx3d.diagnosis.forecast import SECONDS, Forecast, TrialPlan, run_trial
from medctx3d.diagnosis.gathering import gather
from medctx3d.diagnosis.machine import Needs, cores, look_at_disk, look_at_machine
from medctx3d.engine.launch import default_work_dir
from medctx3d.utils.config_check import ConfigError

READERS = 16  # each holds an image and a label
Divide = Callable[[Sequence[Record]], Iterable[Sequence[Record]]]
_TRIED = 4  # training cases of a trial whose volumes are not prepared yet
_VALIDATED = 3  # cases that a trial validates
_OTHER_FILES = 64  # that a process has open beside volumes: libraries, logs, pipes
_IMAGE, _LABEL = 4, 8  # bytes of a voxel in a batch
_STATES = {'SGD': 1}  # floats that an optimiser keeps per weight; Adam and most others keep two


@dataclass(frozen=True)
class Examination:
    """What an examination found.

    Attributes:
        config: Name of the config.
        facts: All that was read.
        findings: Errors first.
    """

    config: str
    facts: Facts
    findings: list[Finding]

    def count(self, severity: str) -> int:
        """Findings of one weight."""
        return sum(finding.severity == severity for finding in self.findings)


def examine(
    config: Config,
    *,
    workers: int | None = None,
    trial: float = SECONDS,
    divide: Divide | None = None,
    progress: bool = False,
    say: Callable[[str], None] = lambda words: None,
) -> Examination:
    """Read every volume of a config once, look at the machine, and try a few iterations.

    Args:
        config: That :func:`~medctx3d.utils.config_check.check_config` has passed.
        workers: Processes that read; None takes one per core, at most ``READERS``.
        trial: Seconds of timed iterations; 0 leaves the trial out.
        divide: From the training records to folds, as a cross-validation would make them.
        progress: Show bars on stderr.
        say: Gets a sentence before each long step.

    Raises:
        ConfigError: A data set of the config cannot be built.
    """
    problems, model = _consistency(config)
    datasets = config_datasets(config)
    facts = gather(datasets, voxels=True, workers=workers or min(cores(), READERS), progress=progress)
    train = next((split for split in facts.splits if split.trains), None)
    if train is not None and divide is not None and len(train.cases) > 1:
        folds = divide([case.record for case in train.cases if not case.unlabelled])
        facts = replace(facts, folds=tuple(tuple(str(record['case']) for record in fold) for fold in folds))
    sound = _sound(facts)
    built = {stage: dataset for stage, (dataset, _) in datasets.items()}
    needs = _needs(config, facts, sound, built, model)
    facts = replace(facts, config_problems=tuple(problems), machine=look_at_machine(), needs=needs)
    if trial > 0 and 'train' in built:
        say(f'trying iterations of the training for {trial:.0f} s')
        forecast = _forecast(config, facts, sound, built, trial)
        facts = replace(facts, forecast=forecast)
        if forecast.checkpoint:
            facts = replace(facts, needs=needs._replace(checkpoint_bytes=forecast.checkpoint))
    return Examination(str(config.filename or 'the config'), facts, run_checks(facts))


def _consistency(config: Config) -> tuple[list[str], nn.Module | None]:
    stages = [stage for stage in ('train', 'val', 'test') if config.get(f'{stage}_dataloader')]
    try:
        return [], check_consistency(config, stages)
    except ConfigError as error:
        lines = str(error).splitlines()
        return [line.strip() for line in lines[1:]] or lines, None


def _sound(facts: Facts) -> set[str]:
    """First images of the cases that no error speaks of, so that they can be trained on."""
    spoilt = {f.where for f in run_checks(facts, ('list', 'header', 'voxels')) if f.severity == 'error'}
    return {
        case.images[0].path
        for case in facts.cases()
        if not any(file.path in spoilt for file in case.files) and all(file.header for file in case.files)
    }


def _records(split: SplitFacts | None, sound: set[str]) -> list[Record]:
    return [case.record for case in split.cases if case.images[0].path in sound] if split else []


def _split(facts: Facts, stage: str) -> SplitFacts | None:
    return next((split for split in facts.splits if stage in split.name.split(', ')), None)


def _lacking(facts: Facts, sound: set[str], stage: str, dataset: VolumeDataset) -> list[Record]:
    """Sound cases of a stage that its store has to prepare."""
    records = _records(_split(facts, stage), sound)
    if dataset.store is None or not records:
        return []
    return dataset.store.lacking(records, dataset.load_pipeline, dict(dataset.metainfo))


def _needs(
    config: Config,
    facts: Facts,
    sound: set[str],
    datasets: Mapping[str, VolumeDataset],
    model: nn.Module | None,
) -> Needs:
    stores = [dataset.store for dataset in datasets.values() if dataset.store is not None]
    lacking: dict[str, int] = {}
    for stage, dataset in datasets.items():
        for record in _lacking(facts, sound, stage, dataset):
            kind = dataset.store.image_dtype if dataset.store else 'float32'
            lacking[str(record['image'])] = stored_bytes(record, dataset.load_pipeline, kind)
    loader: dict[str, Any] = config.get('train_dataloader') or {}
    workers, ahead = int(loader.get('num_workers', 0)), int(loader.get('prefetch_factor') or 2)
    batch = int(loader.get('batch_size') or 1)
    kept, cases = _kept_checkpoints(config), len({case.images[0].path for case in facts.cases()})
    return Needs(
        store=look_at_disk(stores[0].root) if stores else None,
        store_bytes=sum(lacking.values()),
        store_crops=any(changes_extent(dataset.load_pipeline) for dataset in datasets.values()),
        work_dir=look_at_disk(default_work_dir(config, config.filename or 'run', None)),
        checkpoint_bytes=_checkpoint_bytes(config, model),
        checkpoints=kept,
        workers=workers,
        batches_ahead=ahead,
        batch_bytes=batch * _sample_bytes(_split(facts, 'train')),
        open_files=_OTHER_FILES + 3 * min(OPEN_VOLUMES, cases) * bool(stores) + 2 * workers * ahead * batch,
    )


def _sample_bytes(split: SplitFacts | None) -> int:
    """Of one draw as the loader hands it over; without a crop, of the largest volume."""
    if split is None:
        return 0
    channels = len(split.metainfo.get('channels') or ('image',))
    shapes = [case.first.shape[:3] for case in split.cases if case.first]
    voxels = math.prod(split.pipeline.crop) if split.pipeline.crop else max(map(math.prod, shapes), default=0)
    return voxels * (_IMAGE * channels + _LABEL)


def _kept_checkpoints(config: Config) -> int:
    """Checkpoints that lie in the work dir at once: a new one is written before an old one goes."""
    hook: dict[str, Any] = (config.get('default_hooks') or {}).get('checkpoint') or {}
    keep, every = hook.get('max_keep_ckpts', -1), hook.get('interval', -1)
    length = (config.get('train_cfg') or {}).get('max_iters' if not hook.get('by_epoch', True) else 'max_epochs') or 0
    written = math.ceil(length / every) if every > 0 else 1
    return (min(keep + 1, written) if keep > 0 else written) + bool(hook.get('save_best'))


def _checkpoint_bytes(config: Config, model: nn.Module | None) -> int:
    if model is None:
        return 0
    weights = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    learnt = sum(tensor.numel() * tensor.element_size() for tensor in model.parameters() if tensor.requires_grad)
    optimizer = ((config.get('optim_wrapper') or {}).get('optimizer') or {}).get('type', '')
    return weights + _STATES.get(optimizer, 2) * learnt


def _forecast(
    config: Config, facts: Facts, sound: set[str], datasets: Mapping[str, VolumeDataset], seconds: float
) -> Forecast:
    if facts.config_problems:
        return Forecast(skipped='the parts of the config do not fit one another')
    train, val = _split(facts, 'train'), _split(facts, 'val')
    cases = [case for case in train.cases if case.images[0].path in sound] if train else []
    if not cases:
        return Forecast(skipped='no training case is free of errors')
    lacking = _lacking(facts, sound, 'train', datasets['train'])
    whole = not lacking and train is not None and len(cases) == len(train.cases)
    if datasets['train'].unlabelled_split is not None and not whole:
        return Forecast(skipped='volumes of unlabelled_split must be prepared first: start tools/train.py once')
    others = [_lacking(facts, sound, stage, dataset) for stage, dataset in datasets.items() if stage != 'train']
    sizes = {str(case.record['image']): _voxels(case) for case in facts.cases()}
    every = {str(record['image']) for records in (lacking, *others) for record in records}
    chosen = _spread(cases, _TRIED)
    held = _spread([case for case in val.cases if case.images[0].path in sound], _VALIDATED) if val else []
    store = datasets['train'].store
    processes = cores() if store is None or store.num_workers is None else max(1, store.num_workers)
    plan = TrialPlan(
        train=None if whole else [case.case for case in chosen],
        val=[case.case for case in held],
        seconds=seconds,
        voxels_lacking=sum(sizes[image] for image in every),
        voxels_tried=sum(_voxels(case) for case in chosen),
        validated=len(val.cases) if val else 0,
        processes=min(processes, 8, max(1, len(every))),
        draws=len(train.cases) * datasets['train'].crops_per_volume if train else 1,
    )
    return run_trial(config, plan)


def _voxels(case: CaseFacts) -> int:
    return math.prod(case.first.shape[:3]) if case.first else 0


def _spread(cases: Sequence[CaseFacts], count: int) -> list[CaseFacts]:
    """Some cases whose sizes stand for those of all, extremes left out."""
    ordered = sorted(cases, key=_voxels)
    count = min(count, len(ordered))
    return [ordered[(2 * place + 1) * len(ordered) // (2 * count)] for place in range(count)]

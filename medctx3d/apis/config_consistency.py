"""Do the parts of a config fit one another? Answered on shapes alone, before data are prepared or a run begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from medctx3d.apis.training_consistency import training_problems
from medctx3d.datasets import VolumeDataset
from medctx3d.models.heads.auxiliary_head import AuxiliaryHead
from medctx3d.models.masking.functional import cell_grid
from medctx3d.models.preprocessors import VolumeFusionPreprocessor
from medctx3d.models.selfsup import SelfSupervisor
from medctx3d.registry import DATASETS, MODELS, closest
from medctx3d.structures import VolumeData, VolumeDataSample
from medctx3d.typing import Size3
from medctx3d.utils.config_check import ConfigError

STAGES = {
    'train': ('model', 'train_dataloader', 'train_cfg', 'optim_wrapper'),
    'test': ('model', 'test_dataloader', 'test_evaluator', 'test_cfg'),
}
_METAINFO = ('classes', 'channels', 'mirror_pairs', 'label_map', 'reported', 'regions')


def require_keys(config: Config, stage: str) -> None:
    """Refuse a config without what a stage needs.

    Args:
        config: A merged config.
        stage: ``train`` or ``test``.

    Raises:
        ConfigError: Keys are missing; the message names them.
    """
    missing = [key for key in STAGES[stage] if not config.get(key)]
    if missing:
        raise ConfigError(
            f'{_name(config)} has no {", ".join(missing)}: to {stage}, a config needs {", ".join(STAGES[stage])}'
        )
    parts = [key for key in ('val_dataloader', 'val_cfg', 'val_evaluator') if not config.get(key)]
    if stage == 'train' and 0 < len(parts) < 3:
        raise ConfigError(
            f'{_name(config)} has no {", ".join(parts)}: to validate, add it; to do without, set all '
            'of val_dataloader, val_cfg and val_evaluator to None'
        )


def check_consistency(config: Config, stages: Sequence[str] = ('train', 'val', 'test')) -> nn.Module:
    """Refuse a config whose network, data, crops, masks and teacher do not fit one another.

    The model is built without memory (torch's ``meta`` device) and shown one crop and one inference window of no
    content, so any network is judged by what it does.

    Args:
        config: A config that :func:`~medctx3d.utils.config_check.check_config` has passed.
        stages: Those that will run: their data sets count, and what only training needs counts with ``train``.

    Returns:
        The model on the ``meta`` device: names and shapes of all weights.

    Raises:
        ConfigError: All that does not fit, each with its keys, values and the fix.
    """
    model = _build_without_memory(config)
    metainfo = {stage: _metainfo(config, stage) for stage in stages if _dataset(config, stage)}
    problems = [*_metainfo_problems(config, metainfo)]
    problems += training_problems(config, model) if 'train' in stages else ()
    network = getattr(model, 'network', None)
    facts = next(iter(metainfo.values()), None)
    windows = {} if problems else _windows(config, model, stages)
    if isinstance(model, SelfSupervisor):
        if facts is not None and _CROP in windows and not problems:
            problems += _pretraining_problems(config, model, len(facts['channels']), windows[_CROP])
    elif isinstance(network, nn.Module) and facts is not None and not problems:
        problems += _network_problems(config, network, facts, windows)
        crop = windows.get(_CROP)
        if crop is not None and not problems:
            for name, head in getattr(model, 'auxiliary', nn.ModuleDict()).items():
                problems += _masking_problems(name, head, network, len(facts['channels']), crop)
    if problems:
        lines = '\n'.join(f'  {problem}' for problem in problems)
        raise ConfigError(f'the parts of {_name(config)} do not fit one another:\n{lines}')
    return model


_CROP = 'size of the crop in train_dataloader.dataset.pipeline'
_ROI = 'model.inferer.roi_size'


def _name(config: Config) -> str:
    return f'config {config.filename}' if config.filename else 'the config'


def _build_without_memory(config: Config) -> nn.Module:
    errors = (TypeError, KeyError, AttributeError, RuntimeError)  # a ValueError is a component's own words
    try:
        try:
            with torch.device('meta'):
                return MODELS.build(config.model)
        except errors:  # perhaps only because it computes with content while it is built, as MONAI's Swin UNETR does
            return MODELS.build(config.model).to('meta')
    except errors as error:
        raise ConfigError(f'the model of {_name(config)} cannot be built: {_words(error)}') from error


def _dataset(config: Config, stage: str) -> dict[str, Any]:
    return (config.get(f'{stage}_dataloader') or {}).get('dataset') or {}


def _metainfo(config: Config, stage: str) -> dict[str, Any]:
    dataset = _dataset(config, stage)
    component = DATASETS.get(dataset['type']) if isinstance(dataset['type'], str) else dataset['type']
    base = component.METAINFO if isinstance(component, type) and issubclass(component, VolumeDataset) else {}
    return {'channels': ('image',), **base, **(dataset.get('metainfo') or {})}


def _metainfo_problems(config: Config, metainfo: Mapping[str, dict]) -> Iterator[str]:
    for stage, facts in metainfo.items():
        place = f'{stage}_dataloader.dataset.metainfo'
        for key in _dataset(config, stage).get('metainfo') or {}:
            near = closest(key, list(_METAINFO), count=1)
            if key not in _METAINFO and near:
                yield f'{place}.{key}: no such key, so it would be ignored. Did you mean {near[0]!r}?'
        classes, regions = list(facts.get('classes') or ()), facts.get('regions') or {}
        for region, members in regions.items():
            if unknown := [name for name in members if name not in classes]:
                yield f'{place}.regions.{region} must name classes; {unknown} are none of {classes}'
        if unknown := [name for name in facts.get('reported') or () if name not in (*classes, *regions)]:
            yield f'{place}.reported must name classes or regions; {unknown} are none of {[*classes, *regions]}'
    for key in ('classes', 'channels'):
        given = {stage: tuple(facts.get(key) or ()) for stage, facts in metainfo.items()}
        if len(set(given.values())) > 1:
            told = '; '.join(f'{stage}: {len(names)} ({", ".join(names)})' for stage, names in given.items())
            yield f'metainfo.{key} must be the same for every split, got {told}'


def _windows(config: Config, model: nn.Module, stages: Sequence[str]) -> dict[str, Size3]:
    """What the network will be shown, as far as the config says: the training crop and the inference window."""
    windows = {}
    for step in (_dataset(config, 'train').get('pipeline') or ()) if 'train' in stages else ():
        kind = step.get('type', '') if isinstance(step, dict) else ''
        for ending, key in (('ForegroundCrop', 'size'), ('.Resized', 'spatial_size')):
            if str(kind).endswith(ending) and len(step.get(key) or ()) == 3:
                x, y, z = step[key]
                fusion = getattr(model, 'data_preprocessor', None)
                windows[_CROP] = (
                    fusion.fused_size((x, y, z)) if isinstance(fusion, VolumeFusionPreprocessor) else (x, y, z)
                )
    roi = getattr(getattr(model, 'inferer', None), 'roi_size', None)
    if isinstance(roi, Sequence) and len(roi) == 3 and min(roi) > 0:
        windows[_ROI] = tuple(roi)
    return windows


def _network_problems(
    config: Config, network: nn.Module, facts: Mapping[str, Any], windows: Mapping[str, Size3]
) -> list[str]:
    channels, classes = tuple(facts['channels']), tuple(facts.get('classes') or ())
    parts = config.model.get('network') or {}
    taken = (parts.get('backbone') or {}).get('in_channels')
    if taken is not None and taken != len(channels):
        return [
            f"model.network.backbone.in_channels is {taken}, the data set's metainfo.channels has {len(channels)} "
            f'({", ".join(channels)}): make them agree'
        ]
    problems = []
    for place, window in windows.items():
        try:
            answer = _forward(network, len(channels), window)
        except NotImplementedError:  # an operation that needs content; the first iteration will judge
            continue
        except (ValueError, RuntimeError, TypeError) as error:
            told = f'{len(channels)} channel(s) and {tuple(window)} voxels, the {place}'
            problems.append(
                f'{type(network).__name__} cannot take {told}: {_stride_rule(network, window) or _words(error)}'
            )
            continue
        if classes and answer[1] != len(classes):
            key = 'model.network.decode_head.num_classes' if 'decode_head' in parts else 'the outputs of model.network'
            return [
                f'{key}: the network answers with {answer[1]} classes, the data set has {len(classes)} '
                f'({", ".join(classes)}): set it to {len(classes)}'
            ]
        if answer[2:] != tuple(window):
            problems.append(
                f'{type(network).__name__} answers {tuple(window)} voxels ({place}) with {answer[2:]}: choose sides '
                'that its strides divide'
            )
    return problems


def _pretraining_problems(config: Config, model: SelfSupervisor, channels: int, crop: Size3) -> list[str]:
    """Whether a pretraining takes a batch of its crops."""
    count = int((config.get('train_dataloader') or {}).get('batch_size') or 1)
    sample = VolumeDataSample()
    sample.gt_regions = VolumeData(data=torch.zeros(1, *crop, dtype=torch.int32, device='meta'))
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            model.eval()(torch.zeros(count, channels, *crop, device='meta'), [sample] * count, mode='loss')
    except ValueError as error:  # a component's own words
        told = f'{count} crops of {channels} channel(s) and {tuple(crop)} voxels ({_CROP})'
        return [f'{type(model).__name__} cannot take {told}: {_words(error)}']
    except (NotImplementedError, RuntimeError):  # an operation that needs content; the first iteration will judge
        return []
    return []


def _stride_rule(network: nn.Module, window: Size3) -> str:
    """What a U-shaped network asks of a window's sides, if that is what is wrong."""
    coarsest = (getattr(getattr(network, 'backbone', None), 'out_strides', None) or (1,))[-1]
    strides = (coarsest,) * 3 if isinstance(coarsest, int) else tuple(coarsest)
    if all(side % stride == 0 for side, stride in zip(window, strides, strict=True)):
        return ''
    return f'sides must be multiples of {strides}, the coarsest stride of its backbone'


@torch.no_grad()
def _forward(network: nn.Module, channels: int, window: Size3, mask: torch.Tensor | None = None) -> tuple[int, ...]:
    """Shape of the finest logits."""
    network.eval()  # batch statistics of a single cell are no error of the config
    inputs = torch.zeros(1, channels, *window, device='meta')
    answer = network(inputs) if mask is None else network(inputs, mask.to('meta'))
    return tuple(answer.logits[0].shape)


def _masking_problems(name: str, head: Any, network: nn.Module, channels: int, crop: Size3) -> list[str]:
    place, patch = f'model.auxiliary.{name}', getattr(head, 'patch_size', None)
    if not isinstance(head, AuxiliaryHead) or patch is None or getattr(head, 'masking', None) is None:
        return []
    try:
        labels = torch.ones(1, 1, *crop, dtype=torch.long)
        mask = head.masking(1, cell_grid(tuple(crop), patch), device=torch.device('cpu'), labels=labels)
        if getattr(head, 'mask_space', 'voxel') != 'voxel':
            _forward(network, channels, crop, mask)
    except NotImplementedError:
        return []
    except (ValueError, RuntimeError, TypeError) as error:
        return [f'{place}: {_words(error)}']
    return []


def _words(error: BaseException) -> str:
    return str(error.args[0] if isinstance(error, KeyError) and error.args else error).split('\n')[0]

"""Do the hooks and the sampler of a training fit its model? Answered before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from torch import nn

from medctx3d.engine.hooks import EMATeacherHook, FreezeHook, RampUpHook
from medctx3d.engine.hooks.freeze_hook import absent_modules
from medctx3d.models.heads import RegionContrastHead
from medctx3d.models.preprocessors import VolumeFusionPreprocessor
from medctx3d.models.selfsup import LRC
from medctx3d.registry import HOOKS


def training_problems(config: Config, model: nn.Module) -> Iterator[str]:
    """What only training needs and does not get.

    Args:
        config: A merged config.
        model: As the config builds it.

    Returns:
        Messages, each with its keys, the values and the fix.
    """
    yield from _teacher_problems(config, model)
    yield from _ramp_problems(config, model)
    yield from _freeze_problems(config, model)
    yield from _sampler_problems(config)
    yield from _region_problems(config, model)
    yield from _fusion_problems(config, model)


def _teacher_problems(config: Config, model: nn.Module) -> Iterator[str]:
    classes = [_hook_class(hook) for hook in config.get('custom_hooks') or []]
    moved = any(issubclass(hook, EMATeacherHook) for hook in classes)
    foreign = any(not hook.__module__.startswith(('medctx3d.', 'mmengine.')) for hook in classes)  # may move it too
    teacher = getattr(model, 'teacher', None)
    if moved and teacher is None:
        yield (
            "custom_hooks has EMATeacherHook, but the model has no teacher: add model.teacher=dict(type='EMATeacher') "
            'or drop the hook'
        )
    if teacher is not None and not moved and not foreign:
        yield (
            'the model has a teacher, but no hook moves it, so it would never learn: add '
            "custom_hooks=[dict(type='EMATeacherHook')] or set model.teacher=None"
        )


def _ramp_problems(config: Config, model: nn.Module) -> Iterator[str]:
    heads = list(getattr(model, 'auxiliary', {}))
    for hook in config.get('custom_hooks') or []:
        if not issubclass(_hook_class(hook), RampUpHook):
            continue
        name = hook.get('head', 'medcontext') if isinstance(hook, dict) else hook.head
        if name not in heads:
            yield (
                f'custom_hooks has RampUpHook for the auxiliary head {name!r}, the model has {heads or "none"}: set '
                'its head=, or drop the hook'
            )


def _freeze_problems(config: Config, model: nn.Module) -> Iterator[str]:
    for hook in config.get('custom_hooks') or []:
        if issubclass(_hook_class(hook), FreezeHook):
            frozen = HOOKS.build(dict(hook)) if isinstance(hook, dict) else hook
            problem = absent_modules(model, frozen.modules)
            if problem:
                yield f'custom_hooks has {problem}'


def _sampler_problems(config: Config) -> Iterator[str]:
    loader = config.get('train_dataloader') or {}
    sampler = loader.get('sampler') or {}
    if sampler.get('type') == 'MixedSampler' and loader.get('batch_size'):
        block = sampler.get('labelled', 1) + sampler.get('unlabelled', 1)
        if loader['batch_size'] % block:
            yield (
                f'train_dataloader.batch_size is {loader["batch_size"]}, MixedSampler deals blocks of {block} '
                f'(labelled + unlabelled): choose a multiple of {block}, so that every batch has a labelled volume'
            )


def _region_problems(config: Config, model: nn.Module) -> Iterator[str]:
    wanting = [type(part).__name__ for part in model.modules() if isinstance(part, (RegionContrastHead, LRC))]
    dataset = (config.get('train_dataloader') or {}).get('dataset') or {}
    if wanting and dataset.get('region_maps') is None and 'pipeline' in dataset:
        yield (
            f'{wanting[0]} compares regions, and the training volumes come without: make region maps with '
            "tools/dataset/superpixels.py and set train_dataloader.dataset.region_maps='beside' (or their folder)"
        )


def _fusion_problems(config: Config, model: nn.Module) -> Iterator[str]:
    """What only Volume Fusion asks of batches, crops and classes."""
    fusion = getattr(model, 'data_preprocessor', None)
    if not isinstance(fusion, VolumeFusionPreprocessor):
        return
    for stage in ('train', 'val'):
        loader = config.get(f'{stage}_dataloader') or {}
        dataset = loader.get('dataset') or {}
        classes = (dataset.get('metainfo') or {}).get('classes')
        if classes is not None and len(classes) != fusion.num_levels + 1:
            yield (
                f'model.data_preprocessor.num_levels is {fusion.num_levels}, which makes {fusion.num_levels + 1} '
                f'classes; {stage}_dataloader.dataset.metainfo.classes has {len(classes)} ({", ".join(classes)}): '
                'make them agree'
            )
        crops = [step['size'] for step in dataset.get('pipeline') or () if step.get('type') == 'ForegroundCrop']
        try:
            fusion.check_batch(loader.get('batch_size', 2))
            for x, y, z in crops:
                fusion.fused_size((x, y, z))
        except ValueError as error:
            yield f'{stage}_dataloader with model.data_preprocessor: {error}'


def _hook_class(hook: Any) -> type:
    component = hook['type'] if isinstance(hook, dict) else type(hook)
    return HOOKS.get(component) if isinstance(component, str) else component

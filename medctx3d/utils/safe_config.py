"""What a config that is not trusted may name: components that only compute, and paths below the working folder."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from mmengine.config import Config

from medctx3d.registry import REGISTRIES
from medctx3d.utils.config_check import ConfigError

_MMENGINE = frozenset(
    name
    for names in {
        'optimisers': 'Adadelta Adagrad Adam AdamW Adamax NAdam RAdam RMSprop SGD',
        'wrappers': 'OptimWrapper AmpOptimWrapper DefaultOptimWrapperConstructor MMDistributedDataParallel',
        'schedulers': """ConstantLR CosineAnnealingLR CosineRestartLR ExponentialLR LinearLR MultiStepLR OneCycleLR
            PolyLR StepLR""",
        'loops': 'EpochBasedTrainLoop IterBasedTrainLoop TestLoop ValLoop Evaluator LogProcessor',
        'hooks': """DistSamplerSeedHook EarlyStoppingHook EmptyCacheHook IterTimerHook LoggerHook ParamSchedulerHook
            RuntimeInfoHook""",
        'data': 'ConcatDataset RepeatDataset DefaultSampler InfiniteSampler default_collate pseudo_collate',
        'records': 'LocalVisBackend TensorboardVisBackend Visualizer',
        'weights': 'Caffe2Xavier Constant Kaiming Normal Pretrained TruncNormal Uniform Xavier',
    }.values()
    for name in names.split()
)
"""Of mmengine's registries; left out is what unpickles, profiles, sends, or builds from a name of its own."""

_MONAI = frozenset(
    f'monai.{module}.{name}'
    for module, names in {
        'networks.nets': 'AttentionUnet BasicUNet DynUNet MedNeXt SegResNet SegResNetDS SwinUNETR UNETR UNet VNet',
        'losses': """DiceCELoss DiceFocalLoss DiceLoss FocalLoss GeneralizedDiceFocalLoss GeneralizedDiceLoss
            GeneralizedWassersteinDiceLoss TverskyLoss""",
        'inferers': 'SimpleInferer SlidingWindowInferer',
        'transforms': """CastToTyped CenterSpatialCropd ClipIntensityPercentilesd CropForegroundd EnsureTyped Flipd
            GaussianSmoothd HistogramNormalized MedianSmoothd NormalizeIntensityd Orientationd Rand3DElasticd
            RandAdjustContrastd RandAffined RandAxisFlipd RandBiasFieldd RandCoarseDropout RandCoarseDropoutd
            RandCoarseShuffle RandFlipd RandHistogramShift
            RandGaussianNoised RandGaussianSharpend RandGaussianSmoothd RandGibbsNoised RandHistogramShiftd
            RandKSpaceSpikeNoised RandRicianNoised RandRotate90d RandRotated RandScaleIntensityd
            RandShiftIntensityd RandSimulateLowResolutiond RandZoomd Resized ResizeWithPadOrCropd Rotate90d
            ScaleIntensityd ScaleIntensityRanged ScaleIntensityRangePercentilesd SpatialPadd Spacingd
            ThresholdIntensityd""",
    }.items()
    for name in names.split()
)
"""Of MONAI by dotted path; left out is what downloads, unpickles, writes or calls what it is given."""

_NAMING = ('type', 'constructor', 'ema_type')  # keys whose string a builder turns into a class
_REFUSED = {
    'custom_imports': 'imports a module, which runs it',
    '_scope_': 'imports a package, which runs it',
    'backend_args': 'may name a server',
    'file_client_args': 'may name a server',
}
_MAY_BE_ABSOLUTE = ('data_root', 'ann_file', 'load_from')  # what is only read, as volumes, JSON or weights
_URL = re.compile(r'[A-Za-z][A-Za-z0-9+.-]*:/')
_DIST_KEYS = {'backend', 'timeout'}  # init_method names a file or a server

Place = tuple[str | int, ...]


def require_safe(config: Config, lines: Mapping[str, str], *, given: Collection[str] = ()) -> None:
    """Refuse what a config of literals could still do through the components and paths that it names.

    A component is one of medctx3d's own, or on one of two short lists of mmengine's and MONAI's. A path that a config
    names leads below the working folder, links resolved; what is only read (``data_root``, ``ann_file``,
    ``load_from``) may be absolute.

    Args:
        config: From :func:`~medctx3d.utils.literal_config.read_literal_config`.
        lines: Where strings stand, from the same.
        given: Dotted keys of ``--cfg-options``: the user's own hand, whose paths are free.

    Raises:
        ConfigError: All that is refused, each with its place.
    """
    problems = []
    for place, problem in _problems(config.to_dict(), ()):
        dotted = '.'.join(map(str, place))
        if any(dotted == key or dotted.startswith(f'{key}.') for key in given) and place[-1] not in _NAMING:
            continue
        value = _at(config, place)
        line = lines.get(value) if isinstance(value, str) else None
        problems.append(f'  {dotted}{f" ({line})" if line else ""}: {problem}')
    if problems:
        raise ConfigError('\n'.join([f'{config.filename} is refused under --safe:', *problems]))


def is_safe_component(name: str) -> bool:
    """Whether a name means a component that a config which is not trusted may have built."""
    if name in _MONAI:
        return True
    scope, _, bare = name.rpartition('.')
    if scope not in ('', 'medctx3d', 'mmengine'):
        return False
    if scope != 'medctx3d' and bare in _MMENGINE:
        return True
    found = (registry.module_dict.get(bare) for registry in REGISTRIES.values())
    return any((getattr(component, '__module__', None) or '').startswith('medctx3d.') for component in found)


def _problems(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _problems(item, (*place, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            problem = None if item is None else _of_key(key, item, place)
            if problem:
                yield (*place, key), problem
            elif key not in _NAMING:
                yield from _problems(item, (*place, key))
    elif isinstance(value, str) and (problem := _of_path(value, place)):
        yield place, problem


def _of_key(key: Any, value: Any, place: Place) -> str:
    """What is wrong with a key whatever its value's parts are."""
    if key in _REFUSED:
        return f'{key} {_REFUSED[key]}. Leave it out, or read the config without --safe if you trust it'
    if key in _NAMING and 'metainfo' not in place and not (isinstance(value, str) and is_safe_component(value)):
        near = difflib.get_close_matches(str(value), _MMENGINE | _MONAI, n=2, cutoff=0.8)
        hint = f' Did you mean {" or ".join(near)}?' if near else ''
        return f'{key}={value!r} is not among the components that --safe lets build.{hint}'
    if key == 'default_scope' and value not in ('medctx3d', 'mmengine'):
        return f"default_scope must be 'medctx3d', got {value!r}, which would be imported"
    if key == 'compile' and not isinstance(value, bool) and not place:
        return f'compile must be True or False, got {value!r}: its options name programs'
    if key == 'dist_cfg' and isinstance(value, dict) and value.keys() - _DIST_KEYS:
        return f'dist_cfg may have {", ".join(sorted(_DIST_KEYS))}, got {", ".join(sorted(value))}'
    return ''


def _of_path(text: str, place: Place) -> str:
    """What is wrong with a string if it is taken as a path."""
    if _URL.match(text):
        return f'{text!r} is an address, and nothing is fetched or sent under --safe. Fetch it yourself'
    parts = (*PurePosixPath(text).parts, *PureWindowsPath(text).parts)
    key = next((part for part in reversed(place) if isinstance(part, str)), '')
    absolute = text.startswith(('/', '\\', '~')) or PureWindowsPath(text).drive != ''
    if '..' in parts:
        told = 'leads out of the working folder'
    elif absolute:
        told = '' if key in _MAY_BE_ABSOLUTE else 'is absolute; under --safe paths are relative to the working folder'
    elif key not in _MAY_BE_ABSOLUTE and not _stays(text):
        told = f'leads through a link out of the working folder, to {os.path.realpath(text)}'
    else:
        told = ''
    return told and f'{text!r} {told}. If you want it, say so: --cfg-options {".".join(map(str, place))}={text}'


def _stays(text: str) -> bool:
    """Whether a relative path, links resolved as far as it exists, lies in the working folder."""
    if '\0' in text:  # no path: no system call takes it
        return True
    here = os.path.realpath(os.curdir)
    return os.path.commonpath([here, os.path.realpath(text)]) == here


def _at(config: Config, place: Place) -> Any:
    value: Any = config
    for part in place:
        value = value[part]
    return value

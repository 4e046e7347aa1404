"""Read a whole config before anything is built and list everything in it that no component takes."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.dist import init_dist
from mmengine.runner import Runner, set_random_seed
from torch.utils.data import DataLoader

from medctx3d.utils.component_arguments import argument_problems
from medctx3d.utils.component_lookup import UnknownComponentError, find_component

Path = tuple[str | int, ...]

# The registry that a component's key calls for; a key that is not here may name a component of any registry.
_KINDS: dict[str, tuple[str, ...]] = {
    'model': ('MODELS',),
    'network': ('MODELS',),
    'net': ('MODELS',),
    'teacher': ('MODELS',),
    'data_preprocessor': ('MODELS',),
    'model_wrapper_cfg': ('MODEL_WRAPPERS',),
    'backbone': ('BACKBONES',),
    'decode_head': ('HEADS',),
    'auxiliary': ('HEADS',),
    'masking': ('MASKINGS',),
    'criterion': ('LOSSES',),
    'consistency': ('LOSSES',),
    'contrast': ('LOSSES',),
    'base': ('MODELS',),
    'inferer': ('TASK_UTILS',),
    'postprocessing': ('POSTPROCESSING',),
    'init_cfg': ('WEIGHT_INITIALIZERS',),
    'dataset': ('DATASETS',),
    'sampler': ('DATA_SAMPLERS',),
    'batch_sampler': ('DATA_SAMPLERS',),
    'collate_fn': ('FUNCTIONS',),
    'worker_init_fn': ('FUNCTIONS',),
    'pipeline': ('TRANSFORMS',),
    'load_pipeline': ('TRANSFORMS',),
    'transforms': ('TRANSFORMS',),
    'store': ('TASK_UTILS',),
    'optim_wrapper': ('OPTIM_WRAPPERS',),
    'optimizer': ('OPTIMIZERS',),
    'param_scheduler': ('PARAM_SCHEDULERS',),
    'default_hooks': ('HOOKS',),
    'custom_hooks': ('HOOKS',),
    'val_evaluator': ('METRICS', 'EVALUATOR'),
    'test_evaluator': ('METRICS', 'EVALUATOR'),
    'metrics': ('METRICS',),
    'train_cfg': ('LOOPS',),
    'val_cfg': ('LOOPS',),
    'test_cfg': ('LOOPS',),
    'visualizer': ('VISUALIZERS',),
    'vis_backends': ('VISBACKENDS',),
    'log_processor': ('LOG_PROCESSORS',),
}
_CONSUMED: dict[str, set[str]] = {  # kind -> keys that the builder takes out before the component sees them
    'OPTIM_WRAPPERS': {'constructor', 'paramwise_cfg'},
    'PARAM_SCHEDULERS': {'convert_to_iter_based', 'epoch_length', 'begin_share', 'end_share'},
    'LOOPS': {'by_epoch'},
    'HOOKS': {'priority'},
    'WEIGHT_INITIALIZERS': {'name', 'override'},
}
_SUPPLIED: dict[str, set[str] | None] = {  # kind -> arguments that the builder adds; None: it calls a function later
    'MODELS': {'model'},  # of the teacher: the network it follows
    'HEADS': {'in_channels', 'strides', 'num_classes'},  # of the decoder: from the backbone, or the embedding
    'TRANSFORMS': {'metainfo'},
    'OPTIMIZERS': {'params'},
    'PARAM_SCHEDULERS': {'optimizer'},
    'LOOPS': {'runner', 'dataloader', 'evaluator'},
    'DATA_SAMPLERS': {'dataset', 'sampler', 'batch_size'},
    'MODEL_WRAPPERS': {'module'},
    'VISBACKENDS': {'save_dir'},
    'FUNCTIONS': None,
    'WEIGHT_INITIALIZERS': None,
}
_OPAQUE = {'metainfo', 'paramwise_cfg'}  # free content, in which 'type' means nothing to us
_LOADER_KEYS = {'num_batch_per_epoch', 'disable_subprocess_warning'}  # what Runner.build_dataloader takes out
_RUNNER_KEYS = {  # read from the config by mmengine besides the Runner's arguments
    'custom_imports',
    'runner_type',
    'model_wrapper_cfg',
    'find_unused_parameters',
    'sync_bn',
    'compile',
    'efficient_conv_bn_eval',
}


class ConfigError(ValueError):
    """A config names something that does not exist; the message lists every such place."""


def check_config(cfg: Config) -> None:
    """Refuse a config whose keys and values the components it names would not take.

    Components, arguments and top-level keys that are unknown or misspelt, arguments that are missing, and values of
    the wrong type by the signatures' annotations (:func:`~medctx3d.utils.argument_types.fits`), at every level.
    Nothing is built and no file is opened, so this is the first thing to do with a merged config.

    Args:
        cfg: The whole config, ``custom_imports`` already imported (``Config.fromfile`` does that).

    Raises:
        ConfigError: All problems at once, each with its place (``model.network.backbone``), the rule, the value and
            the closest name or the type that is wanted.
    """
    known = runner_keys()
    places: dict[str, list[str]] = {}  # one problem shared by val and test is told once
    for place, problem in _top_level(cfg, known):
        places.setdefault(problem, []).append(place)
    for key in cfg:
        if key in known and key != 'custom_imports':
            for place, problem in _walk(cfg[key], (key,)):
                places.setdefault(problem, []).append(place)
    if places:
        lines = [f'  {", ".join(where)}: {problem}' for problem, where in places.items()]
        count = f'{len(lines)} problem{"s" if len(lines) > 1 else ""}'
        source = f' of {cfg.filename}' if cfg.filename else ''
        raise ConfigError('\n'.join([f'{count} in the config{source}:', *lines]))


def runner_keys() -> set[str]:
    """The top-level keys of a config that something reads."""
    return set(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'} | _RUNNER_KEYS


def _top_level(cfg: Config, known: set[str]) -> Iterator[tuple[str, str]]:
    """Free variables are allowed at the top; a near miss of a known key is not, because it would do nothing."""
    for key in cfg:
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
        if key not in known and close:
            yield key, f'no such key, so it would be ignored. Did you mean {close[0]!r}?'
    given = {key: value for key, value in cfg.items() if key in known - _RUNNER_KEYS and value is not None}
    if hooks := given.get('default_hooks'):  # None switches a hook off
        given['default_hooks'] = {name: hook for name, hook in hooks.items() if hook is not None}
    yield from argument_problems(Runner, given, supplied=None)


def _walk(value: Any, path: Path) -> Iterator[tuple[str, str]]:
    """Every problem in ``value`` and below it, as (place, problem)."""
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _walk(item, (*path, index))
        return
    if not isinstance(value, dict):
        return
    for key, problem in _judge(value, path):
        yield _place((*path, key) if key else path), problem
    for key, item in value.items():
        if key not in _OPAQUE and not _describes_layers(key, item):
            yield from _walk(item, (*path, key))


def _describes_layers(key: Any, value: Any) -> bool:
    """norm_cfg, act_cfg and their like: mmcv's layer builders look them up and complete them in their own way."""
    layers = isinstance(key, str) and key.endswith('_cfg') and key not in _KINDS
    return layers and isinstance(value, dict) and 'type' in value


def _judge(value: dict, path: Path) -> Iterator[tuple[str, str]]:
    """The problems of one dictionary itself, as (key in it or nothing, problem)."""
    plain = _PLAIN.get('.'.join(str(part) for part in path))
    if plain is not None:
        yield from argument_problems(plain, value, supplied=None)
        return
    if len(path) == 1 and str(path[0]).endswith('_dataloader'):
        given = {key: value[key] for key in value if key not in _LOADER_KEYS}
        yield from argument_problems(DataLoader, given)
        return
    component = value.get('type', _default_type(value, path))
    if component is None:
        return
    kinds = _kinds(path)
    if isinstance(component, str):
        try:
            component = find_component(component, kinds)
        except UnknownComponentError as error:
            yield '', str(error)
            return
    if not callable(component):
        yield '', f"'type' must be a name or a class, got {component!r} ({type(component).__name__})"
        return
    consumed = {'type', '_scope_', '_delete_'}.union(*(_CONSUMED.get(kind, set()) for kind in kinds))
    given = {key: value[key] for key in value if key not in consumed}
    yield from argument_problems(component, given, supplied=_supplied(kinds))


def _supplied(kinds: tuple[str, ...]) -> set[str] | None:
    """What the builder of a place adds; where any registry may be meant, that cannot be told."""
    added: set[str] = set()
    for kind in kinds:
        more = _SUPPLIED.get(kind, set())
        if more is None:
            return None
        added |= more
    return added if kinds else None


def _kinds(path: Path) -> tuple[str, ...]:
    """Registries that fit a place; the key decides, or the dictionary of named parts that holds it."""
    names = [part for part in path if isinstance(part, str)]
    for holder in ('auxiliary', 'criterion', 'default_hooks'):
        if len(names) > 1 and names[-2] == holder:
            return ('LOSSES',) if holder == 'criterion' else _KINDS[holder]
    if names[-1].startswith('loss_'):
        return ('LOSSES',)
    if names[-1] in ('train_cfg', 'val_cfg', 'test_cfg') and len(path) > 1:
        return ()
    return _KINDS.get(names[-1], ())


def _default_type(value: dict, path: Path) -> str | None:
    """What mmengine builds where it lets ``type`` be left out."""
    if path in (('val_evaluator',), ('test_evaluator',)):
        return 'Evaluator' if 'metrics' in value else None
    if path == ('optim_wrapper',):
        return 'OptimWrapper' if 'optimizer' in value else None
    if path == ('train_cfg',):
        return 'EpochBasedTrainLoop' if value.get('by_epoch') else 'IterBasedTrainLoop'
    return {'val_cfg': 'ValLoop', 'test_cfg': 'TestLoop', 'log_processor': 'LogProcessor'}.get(_place(path))


def _place(path: Path) -> str:
    text = ''
    for part in path:
        text += f'[{part}]' if isinstance(part, int) else f'.{part}' if text else str(part)
    return text


def env_cfg(*, cudnn_benchmark: bool, mp_cfg: dict, dist_cfg: dict, resource_limit: int) -> None:
    """The keys that ``Runner.setup_env`` reads; it ignores all others silently."""


def mp_cfg(*, mp_start_method: str, opencv_num_threads: int) -> None:
    """The keys of mmengine's ``set_multi_processing`` that a config may give."""


_PLAIN = {  # dictionaries without 'type' that mmengine spreads over a function's arguments
    'env_cfg': env_cfg,
    'env_cfg.mp_cfg': mp_cfg,
    'env_cfg.dist_cfg': init_dist,
    'randomness': set_random_seed,
}

"""Every registry of medctx3d.

``BACKBONES``, ``HEADS``, ``LOSSES``, ``MASKINGS`` and ``POSTPROCESSING`` are root registries: medctx3d's own code
builds from them, and a config cannot put a loss where a backbone belongs. All others are children of mmengine's
registries of the same name, so that mmengine's Runner finds our components under ``default_scope = 'medctx3d'``.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any

from mmengine.registry import DefaultScope, Registry, build_from_cfg, build_model_from_cfg, root
from mmengine.registry.build_functions import build_scheduler_from_cfg

SCOPE = 'medctx3d'


def check_arguments(component: Callable[..., Any], arguments: dict[str, Any], *, where: str = '') -> None:
    """Refuse keyword arguments that a component does not take.

    Args:
        component: A class or function that a config names.
        arguments: What the config (and the builder) would pass to it.
        where: Place in the config, for the message, such as ``model.network.backbone``.

    Raises:
        TypeError: An argument is unknown; the message has the closest name and all names.
    """
    try:
        parameters = inspect.signature(component).parameters
    except (ValueError, TypeError):  # some builtins state no signature; their own call will judge
        return
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    known = [name for name in parameters if name != 'self']
    for name in arguments:
        if name in known or name in ('type', '_scope_', '_delete_'):
            continue
        label = getattr(component, '__name__', str(component))
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f' Did you mean {close[0]!r}?' if close else ''
        place = f' (at {where})' if where else ''
        msg = f'{label}{place} takes no argument {name!r}.{hint} It takes: {", ".join(known) or "nothing"}.'
        raise TypeError(msg)


def closest(name: str, candidates: list[str], count: int = 3) -> list[str]:
    """The candidates that look most like ``name``, case ignored, best first."""
    lowered = {candidate.lower(): candidate for candidate in candidates}
    return [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=count, cutoff=0.4)]


def unknown_name_message(name: str, registry: Registry, entry_point: str = '') -> str:
    """What a user reads after naming a component that no registry knows."""
    entry_point = entry_point or next(
        (key for key, value in globals().items() if value is registry), registry.name.upper()
    )
    names = component_names(registry)
    close = closest(name, names)
    shown = f'Closest names: {", ".join(close)}.' if close else f'Known names: {", ".join(names) or "none"}.'
    return (
        f'{name!r} is not in the {SCOPE}::{registry.name} registry. {shown} '
        f'To add your own: decorate the class with @{entry_point}.register_module() '
        f'(from medctx3d.registry import {entry_point}) and name its module in the config, '
        f"custom_imports = dict(imports=['your_module'])."
    )


def component_names(registry: Registry) -> list[str]:
    """All names that ``registry`` resolves without a scope, its parents' included, sorted."""
    names: set[str] = set()
    current: Registry | None = registry
    while current is not None:
        current.import_from_location()
        names.update(current.module_dict)
        current = current.parent
    return sorted(names)


def _checked(build: Callable[..., Any]) -> Callable[..., Any]:
    """Precede a build function with our two checks: does the name exist, does it take these arguments."""

    def build_checked(
        cfg: Any, *args: Any, registry: Registry, default_args: dict | None = None, **kwargs: Any
    ) -> Any:
        if isinstance(cfg, dict) and 'type' in cfg and '_scope_' not in cfg:
            component = cfg['type']
            if isinstance(component, str):
                found = registry.get(component)
                if found is None:
                    raise KeyError(unknown_name_message(component, registry))
                component = found
            check_arguments(component, dict(cfg))
        return build(cfg, *args, registry=registry, default_args=default_args, **kwargs)

    return build_checked


def _own(name: str, *modules: str) -> Registry:
    return Registry(
        name,
        scope=SCOPE,
        build_func=_checked(build_from_cfg),
        locations=[f'medctx3d.{module}' for module in modules],
    )


def _child(parent: Registry, *modules: str, build: Callable[..., Any] = build_from_cfg) -> Registry:
    return Registry(
        parent.name,
        parent=parent,
        scope=SCOPE,
        build_func=_checked(build),
        locations=[f'medctx3d.{module}' for module in modules],
    )


BACKBONES = _own('backbone', 'models.backbones')
HEADS = _own('head', 'models.heads')
LOSSES = _own('loss', 'models.losses')
MASKINGS = _own('masking', 'models.masking')
POSTPROCESSING = _own('postprocessing', 'postprocessing')

RUNNERS = _child(root.RUNNERS)
RUNNER_CONSTRUCTORS = _child(root.RUNNER_CONSTRUCTORS)
LOOPS = _child(root.LOOPS, 'engine')
HOOKS = _child(root.HOOKS, 'engine')
STRATEGIES = _child(root.STRATEGIES)
DATASETS = _child(root.DATASETS, 'datasets')
DATA_SAMPLERS = _child(root.DATA_SAMPLERS, 'datasets')
TRANSFORMS = _child(root.TRANSFORMS, 'datasets.transforms')
MODELS = _child(root.MODELS, 'models', build=build_model_from_cfg)
MODEL_WRAPPERS = _child(root.MODEL_WRAPPERS, 'models')
WEIGHT_INITIALIZERS = _child(root.WEIGHT_INITIALIZERS, 'engine.weights')
OPTIMIZERS = _child(root.OPTIMIZERS)
OPTIM_WRAPPERS = _child(root.OPTIM_WRAPPERS, 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(root.OPTIM_WRAPPER_CONSTRUCTORS)
PARAM_SCHEDULERS = _child(root.PARAM_SCHEDULERS, build=build_scheduler_from_cfg)
METRICS = _child(root.METRICS, 'evaluation')
EVALUATOR = _child(root.EVALUATOR)
TASK_UTILS = _child(root.TASK_UTILS, 'inference')
VISUALIZERS = _child(root.VISUALIZERS, 'visualization')
VISBACKENDS = _child(root.VISBACKENDS)
LOG_PROCESSORS = _child(root.LOG_PROCESSORS)
INFERENCERS = _child(root.INFERENCERS, 'apis')
FUNCTIONS = _child(root.FUNCTIONS, 'datasets')

REGISTRIES: dict[str, Registry] = {
    name: value for name, value in list(globals().items()) if isinstance(value, Registry)
}


def list_components(kind: str) -> dict[str, str]:
    """What medctx3d itself (and imported plugins) offers of one kind.

    Args:
        kind: A registry by either of its names, such as ``BACKBONES`` or ``backbone``.

    Returns:
        Component name to the first line of its docstring, sorted by name.

    Raises:
        KeyError: No registry has that name; the message lists all.
    """
    for entry_point, registry in REGISTRIES.items():
        if kind.lower() in (entry_point.lower(), registry.name.lower()):
            registry.import_from_location()
            lines = {}
            for name, component in sorted(registry.module_dict.items()):
                lines[name] = (inspect.getdoc(component) or '').partition('\n')[0]
            return lines
    raise KeyError(f'no registry is called {kind!r}; there are: {", ".join(sorted(REGISTRIES))}')


def register_all_modules() -> None:
    """Import every component and make ``medctx3d`` the default scope, for use outside a Runner."""
    if DefaultScope.get_current_instance() is None:
        DefaultScope.get_instance(SCOPE, scope_name=SCOPE)
    for registry in REGISTRIES.values():
        registry.import_from_location()

"""From a name in a config to the class it means."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from mmengine.registry import Registry

from medctx3d.registry import REGISTRIES, closest, component_names, unknown_name_message

Component = Callable[..., Any]
_EXTRAS = {'timm': 'optional', 'torchvision': 'optional', 'tensorboard': 'optional'}  # package -> extra of setup.py


class UnknownComponentError(LookupError):
    """A name that no registry, or not the registry of its place, resolves."""


def find_component(name: str, kinds: Sequence[str]) -> Component:
    """Resolve a component's name as the builder will.

    Args:
        name: A registered name (``TubeMask``, ``mmengine.Adam``) or a dotted path (``monai.losses.DiceLoss``).
        kinds: Entry points of ``medctx3d.registry`` that may hold it, the likeliest first; empty means any.

    Raises:
        UnknownComponentError: Nothing has that name; the message says what is close and how to mend it.
    """
    for kind in kinds or REGISTRIES:
        try:
            found = REGISTRIES[kind].get(name)
        except RuntimeError:  # mmengine's answer to a dotted path whose import fails; explained below
            found = None
        if found is not None and not isinstance(found, ModuleType):
            return found
    raise UnknownComponentError(_explain_dotted(name) if '.' in name else _explain_name(name, kinds))


def _explain_name(name: str, kinds: Sequence[str]) -> str:
    if not kinds:
        everything = [known for registry in REGISTRIES.values() for known in component_names(registry)]
        close = closest(name, everything)
        hint = f'Closest names: {", ".join(close)}.' if close else 'See python tools/list_components.py.'
        return f'{name!r} is in no registry. {hint}'
    message = unknown_name_message(name, REGISTRIES[kinds[0]])
    elsewhere = [kind for kind, registry in REGISTRIES.items() if _holds(registry, name)]
    return f'{message} The name exists in {", ".join(elsewhere)}, which does not fit here.' if elsewhere else message


def _holds(registry: Registry, name: str) -> bool:
    return name in component_names(registry)


def _explain_dotted(name: str) -> str:
    """Why a dotted path leads nowhere: the package is missing, broken, or has no such member."""
    parts = name.split('.')
    owner: Any = None
    for position, part in enumerate(parts):
        path = '.'.join(parts[: position + 1])
        if owner is not None and hasattr(owner, part) and not isinstance(getattr(owner, part), ModuleType):
            owner = getattr(owner, part)
            continue
        try:
            owner = importlib.import_module(path)
        except ModuleNotFoundError as error:
            if error.name != path:
                return f'{name!r}: importing {path} failed, {error}. {_install(error.name or path)}'
            if owner is None:
                return f'{name!r}: the package {part!r} is not installed. {_install(part)}'
            close = closest(part, [member for member in dir(owner) if not member.startswith('_')])
            hint = f'Closest names: {", ".join(close)}.' if close else ''
            return f'{name!r}: {".".join(parts[:position])} has no member {part!r}. {hint}'.rstrip()
        except Exception as error:  # any import may fail in any way; the reason is what the user needs
            return f'{name!r}: importing {path} failed, {type(error).__name__}: {error}'
    return f'{name!r} is a module, not a component. Name a class or function in it.'


def _install(package: str) -> str:
    package = package.partition('.')[0]
    wanted = f"-e '.[{_EXTRAS[package]}]' (or {package})" if package in _EXTRAS else package
    return f'Install it: python -m pip install {wanted}'

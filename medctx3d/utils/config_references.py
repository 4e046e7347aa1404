"""A value of a config that names another: typed once, by the part that knows it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from medctx3d.utils.config_check import ConfigError

_REFERENCE = re.compile(r'\$([A-Za-z_]\w*)')


def resolve_references(config: Config) -> None:
    """Replace every string ``'$name'`` by the value that stands under ``name`` at the top of the config.

    A data set's base knows its crop, channels and classes; a network's base says ``num_classes='$num_classes'``. This
    happens after bases and command-line options are merged, so whoever has the last word on ``name`` has it
    everywhere.

    Args:
        config: Changed in place.

    Raises:
        ConfigError: References to names that are not there; the message has the place of each.
    """
    missing: list[str] = []
    while not missing and (found := list(_references(config, ''))):  # a value may hold references of its own
        for holder, key, name, place in found:
            value = config.get(name)
            if value is None or _is_reference(value) or name == place.partition('.')[0]:
                missing.append(f"{place}='${name}'")
            else:
                holder[key] = copy.deepcopy(value)
    if missing:
        raise ConfigError(
            f'{config.filename or "the config"}: no value at the top of the config for {", ".join(missing)}: define '
            'it there, as the bases in configs/_base_/datasets do, or write the value in its place'
        )


def referenced_names(config: Config) -> set[str]:
    """Names at the top of the config that other places take their value from."""
    return {name for _, _, name, _ in _references(config, '')}


def _references(holder: Any, place: str) -> Iterator[tuple[Any, Any, str, str]]:
    """Each reference as (container, key in it, name referred to, dotted place)."""
    items = list(holder.items()) if hasattr(holder, 'items') else list(enumerate(holder))
    for key, value in items:
        here = f'{place}.{key}' if place else str(key)
        if _is_reference(value):
            yield holder, key, value[1:], here
        elif isinstance(value, (dict, list)):
            yield from _references(value, here)


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and _REFERENCE.fullmatch(value) is not None

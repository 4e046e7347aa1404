"""A merged config as JSON, and what tells two configs apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mmengine.config import Config

from medctx3d.utils.atomic import atomic_path
from medctx3d.utils.config_check import ConfigError

_ABSENT = object()
_IDS = 'label_map'  # its keys are whole numbers, which the data set reads back from JSON's strings


class Difference(NamedTuple):
    """One value that two configs do not share.

    Attributes:
        change: Of the second config against the first.
        key: Dotted, items of lists by number.
        old: None if added.
        new: None if removed.
    """

    change: Literal['added', 'removed', 'changed']
    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        """One line, with ``+``, ``-`` or ``~`` in front."""
        if self.change == 'added':
            return f'+ {self.key} = {self.new!r}'
        if self.change == 'removed':
            return f'- {self.key} = {self.old!r}'
        return f'~ {self.key}: {self.old!r} -> {self.new!r}'


def differences(first: Config, second: Config) -> list[Difference]:
    """All values in which two configs differ, by key; a list and a tuple of the same items are the same."""
    old, new = dict(_flat(first.to_dict(), '')), dict(_flat(second.to_dict(), ''))
    found = []
    for key in [*old, *(key for key in new if key not in old)]:
        before, after = old.get(key, _ABSENT), new.get(key, _ABSENT)
        if before is _ABSENT:
            found.append(Difference('added', key, None, after))
        elif after is _ABSENT:
            found.append(Difference('removed', key, before, None))
        elif type(before) is not type(after) or before != after:
            found.append(Difference('changed', key, before, after))
    return found


def write_json_config(config: Config, path: Path) -> None:
    """Write a merged config as JSON, which can be read without running anything.

    Args:
        config: References resolved.
        path: The ``.json`` file; it appears whole or not at all.

    Raises:
        ConfigError: A value has no JSON form, such as a class or a function; the message has all places.
    """
    if path.suffix != '.json':
        raise ConfigError(f'--json must name a .json file, got {path}')
    content = config.to_dict()
    if problems := list(_unwritable(content, '')):
        raise ConfigError('\n'.join([f'{config.filename} cannot be written as JSON:', *problems]))
    with atomic_path(path) as draft:
        draft.write_text(json.dumps(content, indent=1, allow_nan=False) + '\n', encoding='utf-8')


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Leaves by dotted key; lists of plain values stay whole, as lists."""
    nested = isinstance(value, (list, tuple)) and any(isinstance(item, (dict, list, tuple)) for item in value)
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _flat(item, f'{key}.{name}' if key else str(name))
    elif nested:
        for index, item in enumerate(value):
            yield from _flat(item, f'{key}[{index}]')
    else:
        yield key, list(value) if isinstance(value, (list, tuple)) else value


def _unwritable(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            here = f'{key}.{name}' if key else str(name)
            if not (isinstance(name, str) or (type(name) is int and key.endswith(_IDS))):
                yield f'  {here}: a key of JSON is a string, this is {name!r} ({type(name).__name__})'
            yield from _unwritable(item, here)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _unwritable(item, f'{key}[{index}]')
    elif isinstance(value, float) and value - value != 0:
        yield f'  {key}: {value} is no number in JSON'
    elif not (value is None or isinstance(value, (str, int, float, bool))):
        yield f"  {key}: {value!r} has no JSON form. Name it as text, such as type='monai.losses.DiceLoss'"

"""A config with its bases as data: nothing of it is executed, and only files beside it are opened."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, NoReturn

from mmengine.config import Config

from medctx3d.utils.config_check import ConfigError
from medctx3d.utils.config_variables import expand_variables
from medctx3d.utils.literal_reader import MAX_DEPTH, MAX_SIZE, Literals, read_literals, size

_MAX_BYTES = 2**18
_MAX_FILES = 64


class LiteralConfig(NamedTuple):
    """A merged config that was read, not run.

    Attributes:
        config: As ``Config.fromfile`` would have it.
        lines: Every string of Python files to the ``FILE, line N`` where it stands first.
    """

    config: Config
    lines: dict[str, str]


def read_literal_config(path: Path) -> LiteralConfig:
    """Read a ``.py`` config of literals, or a ``.json`` one, and what ``_base_`` names.

    A base is a relative path and lies in the config's own tree: the nearest folder above the config that holds a
    folder ``_base_``, else the config's own folder. Merging is mmengine's: dictionary by dictionary, ``_delete_=True``
    replaces, bases share no top-level name.

    Args:
        path: The config.

    Raises:
        ConfigError: It holds anything but literals, a base lies elsewhere, or it is larger than any config has
            reason to be; the message has file and line.
    """
    lines: dict[str, str] = {}
    content = _merged(path, _tree(path), (), [0], lines)
    return LiteralConfig(Config(content, filename=str(path)), lines)


def merge(own: dict, base: dict) -> dict:
    """``own`` over ``base`` by mmengine's rules for files.

    Raises:
        TypeError: A dictionary would be merged into something else; the message has the key.
    """
    merged = dict(base)
    for key, value in own.items():
        if not isinstance(value, dict):
            merged[key] = value
            continue
        value = dict(value)
        if key not in merged or value.pop('_delete_', False):
            merged[key] = value
        elif isinstance(merged[key], dict):
            merged[key] = merge(value, merged[key])
        else:
            raise TypeError(
                f'{key} is a dictionary here and a {type(merged[key]).__name__} in a base: add _delete_=True to '
                'replace it'
            )
    return merged


def _tree(path: Path) -> Path:
    own = path.resolve().parent
    return next((folder for folder in (own, *own.parents) if (folder / '_base_').is_dir()), own)


def _merged(path: Path, tree: Path, above: tuple[Path, ...], count: list[int], lines: dict[str, str]) -> dict:
    here = path.resolve()
    count[0] += 1
    if here in above or count[0] > _MAX_FILES:
        rule = 'must not lead back to itself' if here in above else f'must not come to more than {_MAX_FILES} files'
        raise ConfigError(f'{path}: _base_ {rule}. Remove the base')
    base: dict[str, Any] = {}

    def read_bases(names: Any) -> dict[str, Any]:
        for name in [names] if isinstance(names, str) else names:
            more = _merged(_base_path(name, path, tree), tree, (*above, here), count, lines)
            twice = sorted(base.keys() & more.keys())
            if twice:
                raise ConfigError(f'{path}: its bases must not share names, {", ".join(twice)} is in two of them')
            base.update(more)
        return base

    values, own_lines = _read(path, read_bases)
    for text, line in own_lines.items():
        lines.setdefault(text, line)
    values.pop('_base_', None)
    try:
        merged = merge({key: value for key, value in values.items() if not key.startswith('__')}, base)
    except TypeError as error:
        raise ConfigError(f'{path}: {error}') from None
    if size(merged) > MAX_SIZE:
        raise ConfigError(f'{path}: with its bases it comes to more than {MAX_SIZE} values and characters')
    return merged


def _base_path(name: Any, path: Path, tree: Path) -> Path:
    told = f'{path}: _base_={name!r} is not read under --safe: a base must be'
    if not isinstance(name, str):
        raise ConfigError(f'{told} a relative path')
    if '::' in name or '://' in name or Path(name).is_absolute() or PurePosixPath(name).suffix not in ('.py', '.json'):
        raise ConfigError(f'{told} a relative path of a .py or .json file. Copy the file beside the config')
    base = path.parent / name
    if not base.resolve().is_relative_to(tree):
        raise ConfigError(f'{told} below {tree}, it is {base.resolve()}. Copy the file there')
    if not base.is_file():
        raise ConfigError(f'{told} a file, {base} is none. Correct the path')
    return base


def _read(path: Path, bases: Callable[[Any], dict[str, Any]]) -> Literals:
    if path.suffix not in ('.py', '.json'):
        raise ConfigError(f'{path}: a config is a .py or .json file under --safe. Export it: print_config.py --json')
    if path.stat().st_size > _MAX_BYTES:
        raise ConfigError(f'{path}: must not exceed {_MAX_BYTES} bytes, it has {path.stat().st_size}')
    try:
        text = path.read_text(encoding='utf-8')
    except UnicodeDecodeError as error:
        raise ConfigError(f'{path}: must be UTF-8 text: {error}') from None
    if path.suffix == '.py':
        return read_literals(text, str(path), bases)
    values = _read_json(text, path)
    bases(values.get('_base_', []))
    return Literals(values, {})


def _read_json(text: str, path: Path) -> dict[str, Any]:
    def refuse(what: str) -> NoReturn:
        raise ConfigError(f'{path}: {what} is not read under --safe. Write the value itself there')

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        twice = next((key for key, count in Counter(key for key, _ in pairs).items() if count > 1), None)
        return found if twice is None else refuse(f'the key {twice!r} twice in one object')

    try:
        content = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise ConfigError(f'{path}, line {error.lineno}: this is no JSON ({error.msg}). Correct it') from None
    except RecursionError:
        raise ConfigError(f'{path}: more than {MAX_DEPTH} levels are not read under --safe') from None
    if not isinstance(content, dict):
        raise ConfigError(f'{path}: must be a JSON object of top-level keys, it is a {type(content).__name__}')

    def plain(value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            refuse(f'more than {MAX_DEPTH} levels')
        if isinstance(value, dict):
            return {key: plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list):
            return [plain(item, depth + 1) for item in value]
        return expand_variables(value, refuse) if isinstance(value, str) else value

    return plain(content, 1)

"""Variables of a config file that nobody reads, because a base has already written its own where they are used."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from pathlib import Path

from mmengine.config import Config

from medctx3d.utils.config_check import ConfigError


def require_overrides_that_count(path: Path, config: Config, read: Collection[str]) -> None:
    """Refuse a variable that a file sets after its base, and that changes nothing.

    ``load_pipeline = [...]`` in a base is copied into its data sets when the base is read. The same line in a file
    built on it makes a new variable, which no data set sees.

    Args:
        path: The config file; only Python files have variables.
        config: What was read from it.
        read: Names at the top of a config that a Runner reads or that ``'$name'`` refers to.

    Raises:
        ConfigError: The message has the variable, both files, and the places where the base wrote it.
    """
    if path.suffix != '.py':
        return
    tree = ast.parse(path.read_text(encoding='utf-8'))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    for name in _variables(tree):
        if name in read or name in used:
            continue
        for base, assigned in _bases(path, tree):
            if name in assigned:
                places = list(_places(config, name, ''))
                known = ' and '.join(places[:3]) or 'where the base uses it'
                raise ConfigError(
                    f'{path}: {name} is set here, but {base.name} has set it before and written its own value where '
                    f'it is used, so this one would be ignored: set {known} instead'
                )


def _variables(tree: ast.Module) -> list[str]:
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    return [target.id for target in targets if isinstance(target, ast.Name) and not target.id.startswith('_')]


def _bases(path: Path, tree: ast.Module) -> Iterator[tuple[Path, list[str]]]:
    """Every base of a file, those of bases included, and its variables."""
    for node in tree.body:
        if not isinstance(node, ast.Assign) or '_base_' not in [getattr(one, 'id', '') for one in node.targets]:
            continue
        given = ast.literal_eval(node.value)
        for name in [given] if isinstance(given, str) else given:
            base = path.parent / name
            if base.suffix == '.py' and base.is_file():
                below = ast.parse(base.read_text(encoding='utf-8'))
                yield base, _variables(below)
                yield from _bases(base, below)


def _places(holder: object, name: str, place: str) -> Iterator[str]:
    """Dotted places of a key of this name, below the top."""
    items = holder.items() if hasattr(holder, 'items') else []
    for key, value in items:
        here = f'{place}.{key}' if place else str(key)
        if key == name and place:
            yield here
        yield from _places(value, name, here)

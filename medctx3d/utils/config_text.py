"""Read the text of a merged config without running it."""

from __future__ import annotations

import ast
from typing import Any


def read_config_text(text: str) -> dict[str, Any]:
    """The values of a config that a checkpoint carries as text.

    A config is a program, and text in a checkpoint is anybody's: only assignments of literals, ``dict(...)`` included,
    are read. A merged config consists of nothing else.

    Args:
        text: As mmengine's ``Config.pretty_text`` writes it.

    Returns:
        Value by name; names whose value is anything else are left out, and so is everything if the text is no
        Python.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target = statement.targets[0]
            if isinstance(target, ast.Name):
                try:
                    found[target.id] = _value(statement.value)
                except (ValueError, TypeError, RecursionError):
                    continue
    return found


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        if not node.args:
            return {str(item.arg): _value(item.value) for item in node.keywords}
        if len(node.args) == 1 and isinstance(node.args[0], ast.Dict) and not node.keywords:  # dict({'a b': 1})
            return _value(node.args[0])
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {_value(key): _value(value) for key, value in zip(node.keys, node.values, strict=True) if key}
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    return ast.literal_eval(node)

"""The text of one config as data: it is parsed, and nothing in it is executed."""

from __future__ import annotations

import ast
import copy
import operator
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NoReturn

from medctx3d.utils.config_check import ConfigError
from medctx3d.utils.config_variables import expand_variables

MAX_DEPTH = 50
MAX_SIZE = 500_000
"""Values and characters that one config may come to; the largest shipped one comes to 6,239."""
_MAX_INT = 2**63
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {  # no power: 10**10**10 would never end
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
_CONSTRUCTS = {
    ast.Import: 'an import',
    ast.ImportFrom: 'an import',
    ast.FunctionDef: 'a function',
    ast.ClassDef: 'a class',
    ast.Lambda: 'a lambda',
    ast.Attribute: 'an attribute',
    ast.Subscript: 'an index',
    ast.JoinedStr: 'an f-string',
    ast.ListComp: 'a comprehension',
    ast.DictComp: 'a comprehension',
    ast.IfExp: 'a condition',
    ast.NamedExpr: 'an assignment inside an expression',
    ast.AugAssign: 'an assignment that computes',
    ast.AnnAssign: 'an annotated assignment',
}


class Literals(NamedTuple):
    """What a config's text says.

    Attributes:
        values: By top-level name.
        lines: Every string to ``FILE, line N`` where it stands first, for messages about it.
    """

    values: dict[str, Any]
    lines: dict[str, str]


def read_literals(text: str, file: str, bases: Callable[[Any], dict[str, Any]]) -> Literals:
    """Read assignments of literals, as Python would, without running them.

    Literals are numbers, strings, True, False, None, lists, tuples, ``dict(key=...)`` and ``{key: ...}``, unpacking
    (``**name``, ``*name``), names assigned above in the same file, ``+ - * / //`` of numbers, and mmengine's
    ``{{_base_.key}}``, the value of a base.

    Args:
        text: Of a ``.py`` config.
        file: Its name, for messages.
        bases: From the value of ``_base_`` to what these files hold together.

    Raises:
        ConfigError: It is no Python, holds anything else, or comes to more than ``MAX_SIZE``; the message has file,
            line and construct.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ConfigError(f'{file}, line {error.lineno}: this is no Python ({error.msg}). Correct it') from None
    except (RecursionError, MemoryError, ValueError) as error:
        raise ConfigError(f'{file} cannot be parsed ({type(error).__name__}: {error}). Nest less') from None
    return _Reader(file, bases).module(tree)


def size(value: Any) -> int:
    """Values and characters that a value comes to."""
    if isinstance(value, str):
        return 1 + len(value)
    if isinstance(value, dict):
        return 1 + sum(size(key) + size(item) for key, item in value.items())
    return 1 + sum(map(size, value)) if isinstance(value, (list, tuple)) else 1


class _Reader:
    """Walks the tree of one file."""

    def __init__(self, file: str, bases: Callable[[Any], dict[str, Any]]) -> None:
        self.file = file
        self.bases = bases
        self.base: dict[str, Any] = {}
        self.names: dict[str, Any] = {}
        self.lines: dict[str, str] = {}
        self.left = MAX_SIZE

    def module(self, tree: ast.Module) -> Literals:
        for statement in tree.body:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                continue  # a docstring
            if not isinstance(statement, ast.Assign):
                self.refuse(statement, _construct(statement))
            target = statement.targets[0]
            if len(statement.targets) > 1 or not isinstance(target, ast.Name):
                self.refuse(statement, 'an assignment to anything but one name')
            if target.id.startswith('__') or target.id == 'dict':
                self.refuse(statement, f'an assignment to {target.id}')
            self.names[target.id] = self.value(statement.value, 1)
            if target.id == '_base_':
                self.base = self.bases(self.names['_base_'])
        return Literals(self.names, self.lines)

    def value(self, node: ast.expr, depth: int) -> Any:
        if depth > MAX_DEPTH:
            self.refuse(node, f'more than {MAX_DEPTH} levels')
        if isinstance(node, ast.Constant):
            return self.constant(node)
        if isinstance(node, ast.Name):
            if node.id not in self.names:
                self.refuse(node, f'the name {node.id!r}, which is not assigned above in this file')
            self.spend(node, size(self.names[node.id]))
            return copy.deepcopy(self.names[node.id])
        self.spend(node, 1)
        if isinstance(node, (ast.List, ast.Tuple)):
            items = list(self.items(node.elts, depth + 1))
            return items if isinstance(node, ast.List) else tuple(items)
        if isinstance(node, ast.Set):
            return self.of_base(node)
        if isinstance(node, ast.Dict):
            return self.mapping(node, depth + 1)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
            return self.dict_call(node, depth + 1)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            number = self.number(node.operand, depth + 1)
            return -number if isinstance(node.op, ast.USub) else number
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            return self.arithmetic(node, depth + 1)
        self.refuse(node, _construct(node))

    def constant(self, node: ast.Constant) -> Any:
        value = node.value
        if not (value is None or type(value) in (str, int, float, bool)):
            self.refuse(node, f'a constant of type {type(value).__name__}')
        if isinstance(value, str):
            value = expand_variables(value, lambda what: self.refuse(node, what))
            self.lines.setdefault(value, f'{self.file}, line {node.lineno}')
        self.spend(node, size(value))
        return value

    def of_base(self, node: ast.Set) -> Any:
        """``{{_base_.key.key}}``: to Python a set in a set."""
        inner = node.elts[0]
        owner = inner.elts[0] if isinstance(inner, ast.Set) and len(inner.elts) == len(node.elts) == 1 else node
        keys: list[str] = []
        while isinstance(owner, ast.Attribute):
            keys.insert(0, owner.attr)
            owner = owner.value
        if not (keys and isinstance(owner, ast.Name) and owner.id == '_base_'):
            self.refuse(node, 'a set')
        value: Any = self.base
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                self.refuse(node, f'_base_.{".".join(keys)}, which no base above has,')
            value = value[key]
        self.spend(node, size(value))
        return copy.deepcopy(value)

    def items(self, nodes: list[ast.expr], depth: int) -> Iterator[Any]:
        for node in nodes:
            if not isinstance(node, ast.Starred):
                yield self.value(node, depth)
                continue
            unpacked = self.value(node.value, depth)
            if not isinstance(unpacked, (list, tuple)):
                self.refuse(node, f'* of a {type(unpacked).__name__}')
            yield from unpacked

    def mapping(self, node: ast.Dict, depth: int) -> dict:
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                found.update(self.unpacked(value, depth))
                continue
            name = self.value(key, depth)
            if not (name is None or isinstance(name, (str, int, float, bool))):
                self.refuse(key, f'a key of type {type(name).__name__}')
            found[name] = self.value(value, depth)
        return found

    def dict_call(self, node: ast.Call, depth: int) -> dict:
        if node.args:
            self.refuse(node, 'dict() of something but key=value')
        found: dict[Any, Any] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                new = self.unpacked(keyword.value, depth)
            else:
                new = {keyword.arg: self.value(keyword.value, depth)}
            if not all(isinstance(name, str) for name in new):
                self.refuse(keyword, '** of keys that are no strings')
            if twice := sorted(str(name) for name in found.keys() & new.keys()):
                self.refuse(keyword, f'{twice[0]!r} twice in one dict()')
            found.update(new)
        return found

    def unpacked(self, node: ast.expr, depth: int) -> dict:
        value = self.value(node, depth)
        return value if isinstance(value, dict) else self.refuse(node, f'** of a {type(value).__name__}')

    def number(self, node: ast.expr, depth: int) -> int | float:
        value = self.value(node, depth)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.refuse(node, f'arithmetic with a {type(value).__name__}')
        return value

    def arithmetic(self, node: ast.BinOp, depth: int) -> int | float:
        left, right = self.number(node.left, depth), self.number(node.right, depth)
        try:
            result = _ARITHMETIC[type(node.op)](left, right)
        except ArithmeticError as error:
            self.refuse(node, f'arithmetic that fails ({error})')
        if isinstance(result, int) and abs(result) >= _MAX_INT:
            self.refuse(node, 'a whole number of more than 63 bits')
        return result

    def spend(self, node: ast.AST, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            self.refuse(node, f'more than {MAX_SIZE} values and characters in one config')

    def refuse(self, node: ast.AST, what: str) -> NoReturn:
        raise ConfigError(
            f'{self.file}, line {getattr(node, "lineno", 1)}: {what} is not read under --safe, which takes '
            'assignments of literals and _base_. Write the value itself there, or, if you trust the file as you trust '
            'a program, read it without --safe'
        )


def _construct(node: ast.AST) -> str:
    if isinstance(node, ast.Call):
        name, owner = '', node.func
        while isinstance(owner, ast.Attribute):
            name, owner = f'.{owner.attr}{name}', owner.value
        return f'a call of {owner.id if isinstance(owner, ast.Name) else "..."}{name}()'
    if isinstance(node, ast.BinOp):
        return f'the operator {type(node.op).__name__}'
    return _CONSTRUCTS.get(type(node), f'{type(node).__name__} (Python)')

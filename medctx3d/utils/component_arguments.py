"""What a config gives to a component, held against the component's signature."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from medctx3d.registry import check_arguments
from medctx3d.utils.argument_types import annotations_of, fits, spelt
from medctx3d.utils.component_lookup import Component


class Taken(NamedTuple):
    """What a component takes.

    Attributes:
        parameters: By name, those of base classes that ``**kwargs`` are forwarded to included.
        annotations: Resolved, by name.
        required: Names without default, those that its constructors give one another left out.
        free: Whether it reads further names itself from ``**kwargs``, or states no signature.
    """

    parameters: dict[str, inspect.Parameter]
    annotations: dict[str, Any]
    required: tuple[str, ...]
    free: bool


def argument_problems(
    component: Component, arguments: Mapping[str, Any], *, supplied: Collection[str] | None = ()
) -> Iterator[tuple[str, str]]:
    """Every argument that is unknown, missing or of the wrong type.

    Args:
        component: A class or function.
        arguments: As a config gives them, ``type`` left out.
        supplied: Names that whoever builds it adds; None: it may add any, so nothing is called missing.

    Yields:
        The argument's name, empty where the dictionary as a whole is meant, and the problem.
    """
    label = getattr(component, '__name__', str(component))
    taken = taken_by(component)
    judge = _stand_in(label, taken)
    for name, value in arguments.items():
        try:
            check_arguments(judge, {name: value})
        except TypeError as error:
            yield '', str(error)
        if name in taken.annotations and not _allowed(value, taken.parameters[name], taken.annotations[name]):
            yield name, f'{label} wants {spelt(taken.annotations[name])}, got {_shown(value)}{_quoted(value)}'
    for name in taken.required if supplied is not None else ():
        if name not in arguments and name not in (supplied or ()):
            kind = f' ({spelt(taken.annotations[name])})' if name in taken.annotations else ''
            yield '', f'{label} needs {name!r}{kind}, which is missing: add {name}=...'


@cache
def taken_by(component: Component) -> Taken:
    """The arguments of a component; ``**kwargs`` are followed to the constructors that they are handed to."""
    constructors = (
        [base.__dict__['__init__'] for base in component.__mro__ if '__init__' in base.__dict__]
        if inspect.isclass(component)
        else [component]
    )
    parameters: dict[str, inspect.Parameter] = {}
    annotations: dict[str, Any] = {}
    required: list[str] = []
    handed = _Handed(0, frozenset(), True)  # the config's arguments, and nothing before them
    for constructor in constructors:
        try:
            own = list(inspect.signature(constructor).parameters.values())[inspect.isclass(component) :]
        except (ValueError, TypeError):  # built in C without a signature: its own call will judge
            return Taken(parameters, annotations, tuple(required), True)
        hints = annotations_of(constructor)
        named = [each for each in own if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
        new = [each for each in named if each.name not in parameters]
        if handed.untouched:
            open_ones = [each.name for each in named[handed.positional :] if each.default is each.empty]
            required += [name for name in open_ones if name not in handed.names and name not in parameters]
        parameters.update({each.name: each for each in new})
        annotations.update({each.name: hints[each.name] for each in new if each.name in hints})
        bags = [each.name for each in own if each.kind is each.VAR_KEYWORD]
        if not bags:
            return Taken(parameters, annotations, tuple(required), False)
        onward = _handed_on(constructor, bags[0])
        if onward is None:  # it reads them itself, as SegCriterion does with its terms
            return Taken(parameters, annotations, tuple(required), True)
        handed = onward
    return Taken(parameters, annotations, tuple(required), True)


def _allowed(value: Any, parameter: inspect.Parameter, annotation: Any) -> bool:
    """Whether a value fits, or is the default itself: ``size: int = None`` is common."""
    same = type(value) is type(parameter.default) and isinstance(value, (str, int, float, tuple, type(None)))
    return fits(value, annotation) or (same and value == parameter.default)


def _shown(value: Any) -> str:
    text = repr(value)
    return f'{text if len(text) <= 80 else text[:77] + "..."} ({type(value).__name__})'


def _quoted(value: Any) -> str:
    try:
        return '. Write the number without quotes' if isinstance(value, str) and float(value) is not None else ''
    except ValueError:
        return ''


def _stand_in(label: str, taken: Taken) -> Component:
    """A function whose signature spells out all that a component takes, for :func:`check_arguments`."""

    def judge() -> None: ...

    named = [
        parameter.replace(kind=parameter.KEYWORD_ONLY, annotation=parameter.empty)
        for parameter in taken.parameters.values()
    ]
    bag = [inspect.Parameter('further', inspect.Parameter.VAR_KEYWORD)] if taken.free else []
    judge.__name__ = label
    judge.__signature__ = inspect.Signature([*named, *bag])  # type: ignore[attr-defined]
    return judge


class _Handed(NamedTuple):
    """How one constructor calls the next.

    Attributes:
        positional: Arguments that it gives by position.
        names: Arguments that it gives by name.
        untouched: Whether ``**kwargs`` are handed on as they came.
    """

    positional: int
    names: frozenset[str]
    untouched: bool


def _handed_on(constructor: Component, bag: str) -> _Handed | None:
    """How the constructor hands ``**bag`` to another, read from its source; None if it does not."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(constructor))))
    except (OSError, TypeError, SyntaxError):
        return None
    mentions = sum(isinstance(node, ast.Name) and node.id == bag for node in ast.walk(tree))
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == '__init__'):
            continue
        unpacked = [each.value for each in node.keywords if each.arg is None]
        if any(isinstance(value, ast.Name) and value.id == bag for value in unpacked):
            by_super = isinstance(node.func.value, ast.Call)
            positional = sum(not isinstance(each, ast.Starred) for each in node.args) - (not by_super)
            names = frozenset(each.arg for each in node.keywords if each.arg is not None)
            return _Handed(positional, names, mentions == 1)
    return None

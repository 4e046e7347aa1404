"""What a config gives to a component, held against the component's signature."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from medctx3d.registry import check_arguments
from medctx3d.utils.argument_types import annotations_of, fits, spelt
from medctx3d.utils.component_lookup import Component


class Taken(NamedTuple):
    """What a component takes.

    Attributes:
        parameters: By name, those of base classes that ``**kwargs`` are forwarded to included.
        annotations: Resolved, by name.
        required: Names without default of the component's own constructor.
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


def taken_by(component: Component) -> Taken:
    """The arguments of a component; ``**kwargs`` are followed to the constructors that they are handed to."""
    constructors = (
        [base.__dict__['__init__'] for base in component.__mro__ if '__init__' in base.__dict__]
        if inspect.isclass(component)
        else [component]
    )
    parameters: dict[str, inspect.Parameter] = {}
    annotations: dict[str, Any] = {}
    required: tuple[str, ...] = ()
    for position, constructor in enumerate(constructors):
        try:
            own = list(inspect.signature(constructor).parameters.values())[inspect.isclass(component) :]
        except (ValueError, TypeError):  # built in C without a signature: its own call will judge
            return Taken(parameters, annotations, required, True)
        hints = annotations_of(constructor)
        named = [each for each in own if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
        for parameter in named:
            if parameter.name not in parameters:
                parameters[parameter.name] = parameter
                annotations.update({parameter.name: hints[parameter.name]} if parameter.name in hints else {})
        if position == 0:
            required = tuple(each.name for each in named if each.default is each.empty)
        bags = [parameter.name for parameter in own if parameter.kind is parameter.VAR_KEYWORD]
        if not bags:
            return Taken(parameters, annotations, required, False)
        if not _forwards(constructor, bags[0]):  # it reads them itself, as SegCriterion does with its terms
            return Taken(parameters, annotations, required, True)
    return Taken(parameters, annotations, required, True)


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


def _forwards(constructor: Component, bag: str) -> bool:
    """Whether the constructor hands ``**bag`` to another constructor, read from its source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(constructor))))
    except (OSError, TypeError, SyntaxError):
        return False
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == '__init__'
        and any(
            keyword.arg is None and isinstance(keyword.value, ast.Name) and keyword.value.id == bag
            for keyword in node.keywords
        )
        for node in ast.walk(tree)
    )

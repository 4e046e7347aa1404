"""Does a value of a config fit the annotation of the argument that it is for?"""

from __future__ import annotations

import collections.abc
import inspect
import os
import re
import types
import typing
from collections.abc import Callable
from typing import Any, Literal, Union

import numpy as np
import torch
from torch import nn

_COLLECTIONS = (
    list,
    tuple,
    set,
    frozenset,
    collections.abc.Sequence,
    collections.abc.MutableSequence,
    collections.abc.Collection,
    collections.abc.Iterable,
    collections.abc.Set,
)
_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_ARRAYS = (np.ndarray, torch.Tensor)  # made from numbers or sequences by whoever asks for them


def fits(value: Any, annotation: Any) -> bool:
    """Whether ``value`` may stand for an argument with this annotation.

    An int may stand for a float, a list for a tuple and a tuple for a list (JSON has one of them), a string for a
    path, a dictionary for whatever is built from one. A bool is no number, and a string no list of strings. What an
    annotation leaves open, or this function does not know, fits.

    Args:
        value: As a config has it.
        annotation: A type, resolved.
    """
    if annotation in (Any, object, inspect.Parameter.empty):
        return True
    if annotation is None or annotation is type(None):
        return value is None
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Union, types.UnionType):
        return any(fits(value, member) for member in arguments)
    if origin is typing.Annotated:
        return fits(value, arguments[0])
    if origin is Literal:
        return any(value == choice and type(value) is type(choice) for choice in arguments)
    kind = origin or annotation
    if kind in _COLLECTIONS:
        return _fits_collection(value, kind, arguments)
    if kind in _MAPPINGS:
        return isinstance(value, dict) and _fits_items(value, arguments)
    return _fits_class(value, kind) if inspect.isclass(kind) else True


def _fits_collection(value: Any, kind: Any, arguments: tuple[Any, ...]) -> bool:
    if isinstance(value, str):
        return kind in (collections.abc.Collection, collections.abc.Iterable)
    if not isinstance(value, (list, tuple)):
        return False
    if kind is tuple and arguments and arguments[-1] is not Ellipsis:
        return len(value) == len(arguments) and all(map(fits, value, arguments))
    return not arguments or all(fits(item, arguments[0]) for item in value)


def _fits_items(value: dict, arguments: tuple[Any, ...]) -> bool:
    if len(arguments) != 2:
        return True
    return all(fits(key, arguments[0]) and fits(item, arguments[1]) for key, item in value.items())


def _fits_class(value: Any, kind: type) -> bool:
    if kind is bool:
        return isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is str:
        return isinstance(value, str)
    if issubclass(kind, os.PathLike):
        return isinstance(value, (str, os.PathLike))
    if kind in _ARRAYS:
        return not isinstance(value, (str, bool))
    if isinstance(value, dict) or getattr(kind, '_is_protocol', False) or isinstance(value, kind):
        return True
    if isinstance(value, str):
        return not issubclass(kind, nn.Module)  # enums, devices and number types are named by strings
    return not isinstance(value, (bool, int, float, list, tuple))


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Resolved annotations by argument; those that cannot be resolved are left out.

    Args:
        function: A function, or the ``__init__`` of a class.
    """
    function = inspect.unwrap(function)
    raw = getattr(function, '__annotations__', {})
    names = getattr(function, '__globals__', {})
    found = {}
    for name, annotation in raw.items():
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            found[name] = typing.get_type_hints(holder, globalns=names, include_extras=True)[name]
        except (NameError, TypeError, AttributeError, SyntaxError):  # names that only a type checker imports
            continue
    return found


def spelt(annotation: Any) -> str:
    """An annotation as a reader would write it: without module names."""
    if inspect.isclass(annotation) and typing.get_origin(annotation) is None:
        return 'None' if annotation is type(None) else annotation.__name__
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return ' | '.join(spelt(member) for member in typing.get_args(annotation))
    return re.sub(r'\b[a-z_]\w*\.(?=\w)', '', str(annotation)).replace('NoneType', 'None')

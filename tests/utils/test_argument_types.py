"""Which values of a config fit which annotations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from enum import Enum
from numbers import Number
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, Union

import numpy as np
import pytest
import torch
from torch import nn

from medctx3d.registry import REGISTRIES, component_names
from medctx3d.utils.argument_types import annotations_of, fits, spelt
from medctx3d.utils.component_arguments import argument_problems, taken_by

if TYPE_CHECKING:
    from nowhere import Absent  # type: ignore[import-not-found]


class Colour(Enum):
    RED = 'red'


@pytest.mark.parametrize(
    ('value', 'annotation'),
    [
        (1, int),
        (1, float),
        (1.5, float),
        (True, bool),
        ('a', str),
        ('a', Path),
        (None, None),
        (None, Optional[int]),  # noqa: UP045
        (1, Union[str, int]),  # noqa: UP007
        ('1', str | int),
        ([1, 2], tuple[int, int]),
        ((1, 2), list[int]),
        ((1, 2, 3), tuple[int, ...]),
        ([1, 2.5], Sequence[float]),
        ('image', Collection[str]),
        ((1, (2, 3)), Sequence[int | Sequence[int]]),
        ({'a': 1}, dict[str, int]),
        ({'a': [1]}, Mapping[str, Sequence[int]]),
        ({'a': 1}, dict),
        ('sum', Literal['sum', 'mean']),
        (1, Annotated[int, 'voxels']),
        (dict(type='Net'), nn.Module),
        (dict(type='Net'), nn.Module | None),
        ('cpu', torch.device),
        ('red', Colour),
        ([1.0, 2.0], np.ndarray),
        (0.1, torch.Tensor | float),
        (3, Any),
        ('relu', Callable[[int], int]),
        (3, Hashable),
        (3, Number),
        (3, 'Absent'),
    ],
    ids=str,
)
def test_value_fits(value: object, annotation: object) -> None:
    assert fits(value, annotation)


@pytest.mark.parametrize(
    ('value', 'annotation'),
    [
        (True, int),
        (True, float),
        (1, bool),
        (1.0, int),
        ('1', int),
        ('1e-3', float),
        (1, str),
        (1, Path),
        (None, int),
        (1, None),
        ('1', int | None),
        ((1, 2), tuple[int, int, int]),
        ((1, 'a'), tuple[int, ...]),
        (1, Sequence[int]),
        ('image', Sequence[str]),
        ('image', list[str]),
        ([True], Sequence[int]),
        ({'a': 1}, list),
        ([1], dict),
        ({'a': 'b'}, dict[str, int]),
        ({1: 2}, Mapping[str, int]),
        ('max', Literal['sum', 'mean']),
        (True, Literal[1, 2]),
        (3, nn.Module),
        ('UNet', nn.Module),
        (3, Callable[[int], int]),
        ([1], torch.device),
    ],
    ids=str,
)
def test_value_does_not_fit(value: object, annotation: object) -> None:
    assert not fits(value, annotation)


def test_annotations_that_only_a_type_checker_resolves_are_left_out() -> None:
    def build(count: int, other: Absent, name: str | None = None) -> None: ...

    assert annotations_of(build) == dict(count=int, name=str | None) | {'return': type(None)}
    assert list(argument_problems(build, dict(count=1, other=object()))) == []


def test_annotations_are_spelt_without_modules() -> None:
    assert spelt(Optional[nn.Module]) == 'Module | None'  # noqa: UP045
    assert spelt(Sequence[float]) == 'Sequence[float]'
    assert spelt(tuple[int, int] | None) == 'tuple[int, int] | None'
    assert spelt(Literal['a', 1]) == "Literal['a', 1]"


def test_a_default_fits_whatever_its_annotation_says() -> None:
    def build(size: int = None, name: str = 3) -> None: ...  # type: ignore[assignment]  # noqa: RUF013

    assert list(argument_problems(build, dict(size=None, name=3))) == []
    assert [name for name, _ in argument_problems(build, dict(size='x', name=4))] == ['size', 'name']


def test_all_problems_of_a_component_come_with_the_type_that_is_wanted() -> None:
    def build(*, channels: Sequence[int], rate: float = 0.1, width: int = 1) -> None: ...

    found = list(argument_problems(build, dict(rate='1e-3', wdth=2, width=True)))
    assert found == [
        ('rate', "build wants float, got '1e-3' (str). Write the number without quotes"),
        ('', "build takes no argument 'wdth'. Did you mean 'width'? It takes: channels, rate, width."),
        ('width', 'build wants int, got True (bool)'),
        ('', "build needs 'channels' (Sequence[int]), which is missing: add channels=..."),
    ]
    assert list(argument_problems(build, {}, supplied={'channels'})) == []
    assert list(argument_problems(build, {}, supplied=None)) == []


@pytest.mark.parametrize('kind', REGISTRIES)
def test_every_default_of_every_component_fits_its_own_annotation(kind: str) -> None:
    wrong = []
    for name in component_names(REGISTRIES[kind]):
        component = REGISTRIES[kind].get(name)
        if not component.__module__.startswith(('medctx3d.', 'mmengine.', 'torch.')):
            continue
        taken = taken_by(component)
        for key, parameter in taken.parameters.items():
            stated = parameter.default is not inspect.Parameter.empty and parameter.default is not None
            if stated and key in taken.annotations and not fits(parameter.default, taken.annotations[key]):
                wrong.append(f'{name}.{key}: {spelt(taken.annotations[key])} = {parameter.default!r}')
    assert wrong == []

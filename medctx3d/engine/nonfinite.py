"""Where the first number that is not finite comes from: a training step, run again with every module watched."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn


class NonFiniteError(ValueError):
    """A loss or gradient is NaN or infinite; the message says where it comes from and how to see it again."""


class Finding(NamedTuple):
    """The first place where finite numbers became non-finite ones.

    Attributes:
        place: ``input``, ``forward``, ``loss``, ``backward``, or empty where all is finite.
        name: Of the case, module or loss term.
        detail: What went in, in words.
    """

    place: str
    name: str
    detail: str

    def __str__(self) -> str:
        where = dict(
            input=f'the image of case {self.name} holds such values already',
            forward=f'first in the answer of module {self.name} ({self.detail})',
            loss=f'all modules answer with finite values, the loss term {self.name} does not',
            backward=f'forward all is finite; first in the gradient of the answer of module {self.name}',
        )
        return where.get(self.place, 'run again, the step is finite: look at the hardware, or at what is not seeded')


def seed_step(seed: int, iteration: int) -> None:
    """Seed torch (all devices), numpy and ``random`` for one training step, as a function of both numbers."""
    words = np.random.SeedSequence((seed, iteration)).generate_state(3)
    torch.manual_seed(int(words[0]) << 31 ^ int(words[1]))
    np.random.seed(words[2])
    random.seed(int(words[2]))


def find_first(
    model: Any,
    inputs: Sequence[Tensor],
    data_samples: Sequence[Any],
    context: AbstractContextManager | None = None,
) -> Finding:
    """Run one step forward and backward and name the first place that is not finite.

    Parameters keep their values and their gradients; statistics of BatchNorm move as in any step.

    Args:
        model: A segmentor, seeded by :func:`seed_step` for the same masks.
        inputs: One (C, X, Y, Z) per sample.
        data_samples: One per sample.
        context: Of the forward pass, such as autocast.
    """
    for volume, sample in zip(inputs, data_samples, strict=True):
        if not torch.isfinite(volume).all():
            return Finding('input', str(sample.get('case')), '')
    found: list[Finding] = []
    kept = [parameter.grad for parameter in model.parameters()]
    try:
        with _watched(model, found):
            with context or nullcontext():
                data = model.data_preprocessor(dict(inputs=list(inputs), data_samples=list(data_samples)), True)
                terms = model(**data, mode='loss')
            if found:
                return found[0]
            bad = [name for name, value in terms.items() if not torch.isfinite(value).all()]
            if bad:
                return Finding('loss', bad[0], '')
            torch.stack([value for name, value in terms.items() if 'loss' in name]).sum().backward()
    finally:
        for parameter, gradient in zip(model.parameters(), kept, strict=True):
            parameter.grad = gradient
    return found[0] if found else Finding('', '', '')


@contextmanager
def _watched(model: nn.Module, found: list[Finding]) -> Iterator[None]:
    """Note in ``found`` the first bad answer of a module without children, and then the first bad gradient of one."""
    leaves = [(name, module) for name, module in model.named_modules() if not [*module.children()]]
    handles = [module.register_forward_hook(partial(_look, name, found)) for name, module in leaves]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _look(name: str, found: list[Finding], module: nn.Module, arguments: tuple, answer: Any) -> None:
    for tensor in _tensors(answer):
        if not torch.isfinite(tensor).all() and not found:
            entered = [value for value in _tensors(arguments) if value.is_floating_point()]
            largest = max((float(value.detach().abs().max()) for value in entered if value.numel()), default=0.0)
            found.append(Finding('forward', name, f'{type(module).__name__}, largest input {largest:.3g}'))
        if tensor.requires_grad:
            tensor.register_hook(partial(_look_back, name, found))


def _look_back(name: str, found: list[Finding], gradient: Tensor) -> None:
    if not found and not torch.isfinite(gradient).all():
        found.append(Finding('backward', name, ''))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)

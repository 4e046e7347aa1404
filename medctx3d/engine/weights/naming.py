"""How a family of weight files names its tensors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

Weights = Mapping[str, Tensor]
Rename = Callable[[Iterable[str]], dict[str, str]]


@dataclass(frozen=True)
class FileContent:
    """What a file of weights holds.

    Attributes:
        weights: Tensor by name, as they stand in the file.
        beside: What stands beside them in a checkpoint: plain data.
        header: Text in the header of a safetensors file.
    """

    weights: Weights
    beside: Mapping[str, Any] = field(default_factory=dict)
    header: Mapping[str, str] = field(default_factory=dict)

    def mentions(self, *parts: str) -> bool:
        """Whether one of these, such as ``.proj_head.``, is part of a name."""
        return any(part in f'.{name}' for name in self.weights for part in parts)


@dataclass(frozen=True)
class Naming:
    """One published way of naming the tensors of a network, and how it becomes ours.

    Attributes:
        name: As ``source`` and ``--from`` take it.
        about: Whose files these are.
        anchor: Pattern that a name of the network begins with; what stands before it is a prefix that is dropped.
        recognises: ``recognises(weights, file)``: do these tensors (prefix dropped) and this file follow it?
        rename: Published names to those of our network, ``backbone.*`` and ``decode_head.*``; a name that is left out
            belongs to nothing of ours.
        encoder: Pattern of the published names that belong to the encoder.
        classes: Pattern of those of the last layer, which has one output per class.
        inputs: Pattern of those of the layers that see the image.
        idle: Pattern of tensors that nothing computes with: they may stay without a place.
        aliases: Pattern of the beginning or middle of names that repeat another tensor.
        reversed_axes: Its volumes lie (Z, Y, X), ours (X, Y, Z).
        facts: What is known of all such files, for the passport.
        read_facts: What the file itself states.
    """

    name: str
    about: str
    anchor: str
    recognises: Callable[[Weights, FileContent], bool]
    rename: Rename
    encoder: str
    classes: str
    inputs: str
    idle: str = ''
    aliases: str = ''
    reversed_axes: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    read_facts: Callable[[FileContent], dict[str, Any]] = lambda file: {}


def by_patterns(*rules: tuple[str, str]) -> Rename:
    """A renaming by the first pattern that matches the whole name; names without a match are left out."""
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]

    def rename(names: Iterable[str]) -> dict[str, str]:
        renamed = {}
        for name in names:
            for pattern, replacement in compiled:
                match = pattern.fullmatch(name)
                if match:
                    renamed[name] = match.expand(replacement)
                    break
        return renamed

    return rename


def has(weights: Weights, *beginnings: str) -> bool:
    """Whether for each beginning there is a name that begins so."""
    return all(any(name.startswith(beginning) for name in weights) for beginning in beginnings)

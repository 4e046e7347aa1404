"""Protocols at package borders, and the two values that travel between networks, heads and the segmentor.

Shapes: N batch, C image channels, K classes, (X, Y, Z) voxels in RAS+ order, g a coarse grid of cells.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

Size3 = tuple[int, int, int]
Terms = dict[str, Tensor]  # scalars by name; mmengine sums those whose name contains `loss`
# logits levels and class ids (N, 1, X, Y, Z) to terms
Criterion = Callable[[tuple[Tensor, ...], Tensor], Terms]
Objective = Callable[[], Terms]  # one pass of the student, scored


class SegOutput(NamedTuple):
    """What a network answers.

    Attributes:
        logits: Scores before the softmax, highest resolution first; ``logits[0]`` is (N, K, X, Y, Z).
        features: Encoder features, finest first, each (N, Ci, X/s, Y/s, Z/s); empty for a :class:`WholeNet`.
    """

    logits: tuple[Tensor, ...]
    features: tuple[Tensor, ...] = ()


class View(NamedTuple):
    """What the student is shown for one auxiliary objective.

    Attributes:
        inputs: (N, C, X, Y, Z) image, possibly with voxels hidden.
        mask: (N, gx, gy, gz) bool cells, True = hidden, for scoring and logs.
        token_mask: The same cells if the backbone is to hide them as tokens, else None.
    """

    inputs: Tensor
    mask: Tensor | None = None
    token_mask: Tensor | None = None


@runtime_checkable
class Backbone(Protocol):
    """An encoder that states its features, finest first."""

    out_channels: tuple[int, ...]
    out_strides: tuple[int | Size3, ...]

    def __call__(self, inputs: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        """(N, C, X, Y, Z) to features; ``mask`` (N, gx, gy, gz) hides tokens."""


class DecodeHead(Protocol):
    """A decoder from features to logits levels."""

    def __call__(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Features, finest first, to logits, highest resolution first."""


@runtime_checkable
class HasTeacher(Protocol):
    """A model whose teacher a hook may move."""

    def prime_teacher(self) -> None:
        """Copy the student into a teacher that has taken no step yet."""

    def update_teacher(self, decay: float) -> None:
        """Move the teacher: weight = decay * weight + (1 - decay) * student."""


@runtime_checkable
class HasAuxiliary(Protocol):
    """A model whose auxiliary objectives a hook may weigh over time."""

    def ramp_auxiliary(self, name: str, factor: float) -> None:
        """Factor on the self-supervised terms of one auxiliary head."""

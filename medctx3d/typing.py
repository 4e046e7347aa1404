"""Protocols at package borders, and the two values that travel between networks, heads and the segmentor.

Shapes: N batch, C image channels, K classes, (X, Y, Z) voxels in RAS+ order, g a coarse grid of cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

Size3 = tuple[int, int, int]
Terms = dict[str, Tensor]  # scalars by name; mmengine sums those whose name contains `loss`
# logits levels and class ids (N, 1, X, Y, Z) to terms
Criterion = Callable[[tuple[Tensor, ...], Tensor], Terms]
Objective = Callable[[], Terms]  # one pass of the student, scored
WindowScorer = Callable[[Tensor], Tensor]  # windows (N, C, x, y, z) to scores before the softmax (N, K, x, y, z)


class SegOutput(NamedTuple):
    """What a network answers.

    Attributes:
        logits: Scores before the softmax, highest resolution first; ``logits[0]`` is (N, K, X, Y, Z).
        features: Encoder features, finest first, each (N, Ci, X/s, Y/s, Z/s); empty for a :class:`WholeNet`.
        decoded: The decoder's finest features (N, C, X/s, Y/s, Z/s), from which ``logits[0]`` are projected; None
            where the decoder does not hand them out.
    """

    logits: tuple[Tensor, ...]
    features: tuple[Tensor, ...] = ()
    decoded: Tensor | None = None


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


@runtime_checkable
class HasEmbeddings(Protocol):
    """A model that compares embeddings, and can show them."""

    def embeddings(self, inputs: Tensor) -> Tensor:
        """(N, C, X, Y, Z) to the rows (M, D) that its loss compares."""


@runtime_checkable
class ShowsUnchanged(Protocol):
    """A data preprocessor that may change volumes, and can stack them without."""

    def stack(self, data: dict) -> dict:
        """A collated batch, stacked and on the device, the volumes as the data set gave them."""


class Planes(NamedTuple):
    """Finished scores of neighbouring planes of a volume.

    Attributes:
        axis: The axis of (X, Y, Z) across which they lie.
        start: Index of the first of them.
        scores: Scores before the softmax (K, X, Y, Z), as large as the volume but along ``axis``.
    """

    axis: int
    start: int
    scores: Tensor


class PlaneSink(Protocol):
    """Takes the scores of a volume plane by plane."""

    def write(self, planes: Planes) -> None:
        """Take some planes; each plane of the volume comes once, in any order, and is overwritten afterwards."""


class Segmented(NamedTuple):
    """A segmented volume.

    Attributes:
        labels: (X, Y, Z) class ids on the CPU, uint8, or int16 for more than 256 classes.
        windows: Windows that cover the volume.
        skipped: How many of them were air and not shown to the network.
    """

    labels: Tensor
    windows: int
    skipped: int


@runtime_checkable
class SegmentsVolumes(Protocol):
    """An inferer that gives labels without holding the scores of a whole volume."""

    def segment(
        self, volume: Tensor, network: WindowScorer, *, onto: Any = None, sinks: Sequence[PlaneSink] = ()
    ) -> Segmented:
        """Segment (C, X, Y, Z), on the grid of a :class:`~medctx3d.utils.geometry.GridMap` where one is given."""

    def __call__(self, inputs: Tensor, network: WindowScorer) -> Tensor:
        """The scores (N, K, X, Y, Z) of whole volumes (N, C, X, Y, Z)."""

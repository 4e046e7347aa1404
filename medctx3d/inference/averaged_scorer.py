"""The answer of several networks and mirrors to a window."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from medctx3d.inference.options import Average, Precision

_LEFT_RIGHT_AXIS = 0  # of (X, Y, Z) in RAS+ order
_LEAST_PROBABILITY = 1e-30  # has a logarithm in float32


class AveragedScorer:
    """The answer of several networks and mirrors to a window.

    Every network sees the window and its mirror images along all combinations of ``mirror_axes``; the answers are
    mirrored back, sided classes change places where left and right did, and are averaged before they leave. One
    network without mirrors answers with its own logits.

    Args:
        networks: Modules in eval mode whose answer has ``logits``.
        mirror_axes: Some of the axes 0 to 2 of (X, Y, Z).
        swaps: Pairs of class ids that are each other's mirror image.
        average: ``softmax`` averages probabilities and answers with their logarithm, ``logits`` averages logits.
        precision: Of the networks' arithmetic, by autocast; answers are float32.
        compile: Compile each network with ``torch.compile``.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        *,
        mirror_axes: Sequence[int] = (),
        swaps: Sequence[tuple[int, int]] = (),
        average: Average = 'softmax',
        precision: Precision = 'float32',
        compile: bool = False,
    ) -> None:
        self.networks: list[Callable[[Tensor], Any]] = [
            torch.compile(network) if compile else network for network in networks
        ]
        counts = range(len(mirror_axes) + 1)
        self.flips = [flip for count in counts for flip in itertools.combinations(sorted(mirror_axes), count)]
        self.swaps = tuple(swaps)
        self.average = average
        self.dtype: torch.dtype = getattr(torch, precision)

    @torch.no_grad()
    def __call__(self, windows: Tensor) -> Tensor:
        """Windows (N, C, x, y, z) to scores before the softmax (N, K, x, y, z) float32."""
        if len(self.networks) * len(self.flips) == 1:
            return self._ask(self.networks[0], windows)
        total: Tensor | None = None
        for network, flip in itertools.product(self.networks, self.flips):
            scores = self._unmirror(self._ask(network, windows.flip([axis + 2 for axis in flip])), flip)
            if self.average == 'softmax':
                scores = scores.softmax(dim=1)
            total = scores if total is None else total.add_(scores)
        assert total is not None, 'there is at least one network'
        mean = total.div_(len(self.networks) * len(self.flips))
        return mean.clamp_min_(_LEAST_PROBABILITY).log_() if self.average == 'softmax' else mean

    def _ask(self, network: Callable[[Tensor], Any], windows: Tensor) -> Tensor:
        reduced = self.dtype != torch.float32
        with torch.autocast(windows.device.type, self.dtype if reduced else None, enabled=reduced):
            answer: Tensor = network(windows).logits[0]
        return answer.float()

    def _unmirror(self, scores: Tensor, flip: tuple[int, ...]) -> Tensor:
        if _LEFT_RIGHT_AXIS in flip and self.swaps:
            order = list(range(scores.shape[1]))
            for one, other in self.swaps:
                order[one], order[other] = other, one
            scores = scores[:, order]
        return scores.flip([axis + 2 for axis in flip])

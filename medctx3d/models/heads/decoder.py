"""The interface of a decode head."""

from __future__ import annotations

import abc
from typing import NamedTuple

from mmengine.model import BaseModule
from torch import Tensor, nn


class Decoded(NamedTuple):
    """What a decoder makes of the encoder's features.

    Attributes:
        logits: Levels (N, K, x, y, z), finest first.
        finest: (N, C, x, y, z) the decoder's last features, from which ``logits[0]`` are projected.
    """

    logits: tuple[Tensor, ...]
    finest: Tensor


class Decoder(BaseModule, abc.ABC):
    """A decoder from features to logits that also hands out its finest features.

    Attributes:
        channels: Of the finest features.
    """

    channels: int

    @abc.abstractmethod
    def forward(self, features: tuple[Tensor, ...]) -> Decoded:
        """Features, finest first, to logits levels and the features that the finest is projected from.

        ``logits[0]`` has the size of the input.
        """

    def drop_outputs(self) -> None:
        """Remove the projections to classes, for a method that reads the finest features alone.

        Parameters that no loss reaches would stop distributed training.
        """
        for name, empty in (('outs', nn.ModuleList()), ('out', nn.Identity())):
            if hasattr(self, name):
                setattr(self, name, empty)

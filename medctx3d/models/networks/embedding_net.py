"""An encoder whose answer is a vector per volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from medctx3d.registry import BACKBONES, MODELS


class Embedded(NamedTuple):
    """What an :class:`EmbeddingNet` answers.

    Attributes:
        vectors: (N, D), after the projector.
        pooled: (N, F), means of the features over all positions, before the projector.
        features: Encoder features, finest first, each (N, Ci, X/s, Y/s, Z/s).
    """

    vectors: Tensor
    pooled: Tensor
    features: tuple[Tensor, ...]


@MODELS.register_module()
class EmbeddingNet(BaseModule):
    """Backbone, mean over all positions, projector.

    The backbone is called ``backbone`` as in :class:`EncoderDecoder`, so that a checkpoint of a pretraining names its
    weights as a segmentor does.

    Args:
        backbone: Config or module with ``out_channels``.
        projector: Config or module from rows (N, F) to rows (N, D); learns ``in_channels`` from the backbone.
        levels: Which of the backbone's features are averaged and joined; None takes the deepest alone.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: The backbone has no such level; the message has what it has.
    """

    def __init__(
        self,
        backbone: dict | nn.Module,
        projector: dict | nn.Module,
        *,
        levels: Sequence[int] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        encoder: Any = BACKBONES.build(backbone) if isinstance(backbone, dict) else backbone
        widths = encoder.out_channels
        self.backbone: nn.Module = encoder
        self.levels = (len(widths) - 1,) if levels is None else tuple(levels)
        wrong = [level for level in self.levels if not 0 <= level < len(widths)]
        if wrong or not self.levels:
            raise ValueError(
                f'EmbeddingNet: levels must name features of {type(self.backbone).__name__}, which has {len(widths)} '
                f'(0 to {len(widths) - 1}, finest first, of {widths} channels), got {self.levels}'
            )
        pooled = sum(widths[level] for level in self.levels)
        seam = dict(in_channels=pooled)
        self.projector: nn.Module = (
            MODELS.build(projector, default_args=seam) if isinstance(projector, dict) else projector
        )

    def forward(self, inputs: Tensor) -> Embedded:
        """Embed volumes (N, C, X, Y, Z)."""
        features = self.backbone(inputs)
        pooled = torch.cat([features[level].mean(dim=(2, 3, 4)) for level in self.levels], dim=1)
        return Embedded(self.projector(pooled), pooled, tuple(features))

"""An encoder whose answer is a vector per volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from medctx3d.models.heads.decoder import Decoder
from medctx3d.registry import BACKBONES, HEADS, MODELS


class Embedded(NamedTuple):
    """What an :class:`EmbeddingNet` answers.

    Attributes:
        vectors: (N, D), after the projector.
        pooled: (N, F), means of the features over all positions, before the projector.
        features: Encoder features, finest first, each (N, Ci, X/s, Y/s, Z/s).
        decoded: The decoder's finest features (N, C, X/s, Y/s, Z/s); None without decoder.
    """

    vectors: Tensor
    pooled: Tensor
    features: tuple[Tensor, ...]
    decoded: Tensor | None = None


@MODELS.register_module()
class EmbeddingNet(BaseModule):
    """Backbone, mean over all positions, projector.

    The backbone is called ``backbone`` as in :class:`EncoderDecoder`, so that a checkpoint of a pretraining names its
    weights as a segmentor does.

    Args:
        backbone: Config or module with ``out_channels``.
        projector: Config or module from rows (N, F) to rows (N, D); learns ``in_channels`` from the backbone.
        levels: Which of the backbone's features are averaged and joined; None takes the deepest alone.
        decode_head: Config of a :class:`Decoder` that is pretrained too, without its projections to classes; it is
            called ``decode_head`` as in :class:`EncoderDecoder`. None: no decoder.
        local_projector: Config or module from rows of the decoder's finest features to rows (M, D); it is not called
            here, a method projects the voxels that it compares. Learns ``in_channels`` from the decoder.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: The backbone has no such level; the message has what it has. Or ``local_projector`` without
            ``decode_head``.
    """

    def __init__(
        self,
        backbone: dict | nn.Module,
        projector: dict | nn.Module,
        *,
        levels: Sequence[int] | None = None,
        decode_head: dict | None = None,
        local_projector: dict | nn.Module | None = None,
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

        if local_projector is not None and decode_head is None:
            raise ValueError("EmbeddingNet: local_projector projects a decoder's features: give decode_head as well")
        self.decode_head: Decoder | None = None
        self.local_projector: nn.Module | None = None
        if decode_head is not None:
            seam = dict(num_classes=1, in_channels=widths, strides=encoder.out_strides)
            decoder: Decoder = HEADS.build(decode_head, default_args=seam)
            decoder.drop_outputs()
            self.decode_head = decoder
            self.local_projector = (
                MODELS.build(local_projector, default_args=dict(in_channels=decoder.channels))
                if isinstance(local_projector, dict)
                else local_projector
            )

    def forward(self, inputs: Tensor) -> Embedded:
        """Embed volumes (N, C, X, Y, Z)."""
        features = tuple(self.backbone(inputs))
        pooled = torch.cat([features[level].mean(dim=(2, 3, 4)) for level in self.levels], dim=1)
        decoded = None if self.decode_head is None else self.decode_head(features).finest
        return Embedded(self.projector(pooled), pooled, features, decoded)

"""Backbone and decode head as one network."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor, nn

from medctx3d.models.heads.decoder import Decoded, Decoder
from medctx3d.registry import BACKBONES, HEADS, MODELS
from medctx3d.typing import SegOutput


@MODELS.register_module()
class EncoderDecoder(BaseModule):
    """Backbone and decode head as one network.

    The decode head learns ``in_channels`` and ``strides`` from the backbone; no config types them twice.

    Args:
        backbone: Config or module with ``out_channels`` and ``out_strides``.
        decode_head: Config or module from features to logits levels; a :class:`Decoder` also hands out its features.
        init_cfg: mmengine's initialisation.

    Attributes:
        decoded_channels: Of ``SegOutput.decoded``; None where there are none.
    """

    def __init__(
        self, backbone: dict | nn.Module, decode_head: dict | nn.Module, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.backbone = BACKBONES.build(backbone) if isinstance(backbone, dict) else backbone
        seam = dict(in_channels=self.backbone.out_channels, strides=self.backbone.out_strides)
        built = HEADS.build(decode_head, default_args=seam) if isinstance(decode_head, dict) else decode_head
        self.decode_head: nn.Module = built
        self.decoded_channels = built.channels if isinstance(built, Decoder) else None

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> SegOutput:
        """(N, C, X, Y, Z) to logits and features; ``mask`` (N, gx, gy, gz) bool hides tokens, True = hidden."""
        features = self.backbone(inputs) if mask is None else self.backbone(inputs, mask)
        decoded = self.decode_head(features)
        if isinstance(decoded, Decoded):
            return SegOutput(decoded.logits, tuple(features), decoded.finest)
        return SegOutput(logits=tuple(decoded), features=tuple(features))

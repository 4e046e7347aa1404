"""Blocks that backbones and decode heads share."""

from medctx3d.models.blocks.epa_block import EPABlock
from medctx3d.models.blocks.paired_attention import EfficientPairedAttention
from medctx3d.models.blocks.projector import Projector
from medctx3d.models.blocks.volume_norm import VolumeLayerNorm
from medctx3d.models.blocks.window_attention import WindowAttention
from medctx3d.models.blocks.window_blocks import CrossWindowBlock, SelfWindowBlock
from medctx3d.models.blocks.windows import Windows, fit_windows

__all__ = [
    'CrossWindowBlock',
    'EPABlock',
    'EfficientPairedAttention',
    'Projector',
    'SelfWindowBlock',
    'VolumeLayerNorm',
    'WindowAttention',
    'Windows',
    'fit_windows',
]

"""Backbones: encoders that state their features as ``out_channels`` and ``out_strides``, finest first."""

from medctx3d.models.backbones.nnformer import NNFormerEncoder
from medctx3d.models.backbones.nnunet import NNUNetEncoder
from medctx3d.models.backbones.pcrlv2 import PCRLv2Encoder
from medctx3d.models.backbones.swin_unetr import SwinUNETREncoder
from medctx3d.models.backbones.unet import UNetEncoder
from medctx3d.models.backbones.unetr import UNETREncoder

__all__ = ['NNFormerEncoder', 'NNUNetEncoder', 'PCRLv2Encoder', 'SwinUNETREncoder', 'UNETREncoder', 'UNetEncoder']

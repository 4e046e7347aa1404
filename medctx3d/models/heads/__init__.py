"""Heads: decoders from features to logits, and auxiliary objectives."""

from medctx3d.models.heads.auxiliary_head import AuxiliaryHead
from medctx3d.models.heads.decoder import Decoded, Decoder
from medctx3d.models.heads.medcontext_head import MedContextHead
from medctx3d.models.heads.nnformer_decoder import NNFormerDecoder
from medctx3d.models.heads.nnunet_decoder import NNUNetDecoder
from medctx3d.models.heads.pcrlv2_decoder import PCRLv2Decoder
from medctx3d.models.heads.region_contrast_head import RegionContrastHead
from medctx3d.models.heads.unet_decoder import UNetDecoder
from medctx3d.models.heads.unetr_decoder import UNETRDecoder
from medctx3d.models.heads.unetr_plus_plus_decoder import UNETRPlusPlusDecoder

__all__ = [
    'AuxiliaryHead',
    'Decoded',
    'Decoder',
    'MedContextHead',
    'NNFormerDecoder',
    'NNUNetDecoder',
    'PCRLv2Decoder',
    'RegionContrastHead',
    'UNETRDecoder',
    'UNETRPlusPlusDecoder',
    'UNetDecoder',
]

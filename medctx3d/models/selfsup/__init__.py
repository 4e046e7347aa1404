"""Pretraining methods: networks that learn from volumes without labels."""

from medctx3d.models.selfsup.image_restoration import ImageRestoration
from medctx3d.models.selfsup.lrc import LRC
from medctx3d.models.selfsup.masked_autoencoder import MaskedAutoencoder
from medctx3d.models.selfsup.moco import MoCo
from medctx3d.models.selfsup.self_supervisor import SelfSupervisor
from medctx3d.models.selfsup.simclr import SimCLR
from medctx3d.models.selfsup.voco import VoCo

__all__ = ['LRC', 'ImageRestoration', 'MaskedAutoencoder', 'MoCo', 'SelfSupervisor', 'SimCLR', 'VoCo']

"""Segmentors: what the Runner trains."""

from medctx3d.models.segmentors.sequential_ddp import SequentialDistributedDataParallel
from medctx3d.models.segmentors.volume_segmentor import VolumeSegmentor

__all__ = ['SequentialDistributedDataParallel', 'VolumeSegmentor']

"""Transforms of volumes: loading, cropping, flipping, packing."""

from medctx3d.datasets.transforms.foreground_crop import ForegroundCrop
from medctx3d.datasets.transforms.load_volume import LoadVolume
from medctx3d.datasets.transforms.packing import PackVolume
from medctx3d.datasets.transforms.rand_mirror import RandMirror, mirror

__all__ = ['ForegroundCrop', 'LoadVolume', 'PackVolume', 'RandMirror', 'mirror']

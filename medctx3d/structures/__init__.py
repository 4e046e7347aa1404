"""Checked containers for voxel maps and samples."""

from medctx3d.structures.volume_data import VolumeData
from medctx3d.structures.volume_data_sample import VolumeDataSample

__all__ = ['VolumeData', 'VolumeDataSample']

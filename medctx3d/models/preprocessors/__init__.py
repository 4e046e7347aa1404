"""Data preprocessors: the last step before the model, on its device."""

from medctx3d.models.preprocessors.volume_fusion import VolumeFusionPreprocessor
from medctx3d.models.preprocessors.volume_preprocessor import VolumePreprocessor

__all__ = ['VolumeFusionPreprocessor', 'VolumePreprocessor']

"""Steps on predicted label volumes: they remove, fill and reassign voxels by rules that anatomy gives."""

from medctx3d.postprocessing.fill_holes import FillHoles
from medctx3d.postprocessing.keep_largest_component import KeepLargestComponent
from medctx3d.postprocessing.postprocessing_step import PostprocessingStep
from medctx3d.postprocessing.remove_detached import RemoveDetached
from medctx3d.postprocessing.remove_overlaps import RemoveOverlaps
from medctx3d.postprocessing.remove_small_components import RemoveSmallComponents

__all__ = [
    'FillHoles',
    'KeepLargestComponent',
    'PostprocessingStep',
    'RemoveDetached',
    'RemoveOverlaps',
    'RemoveSmallComponents',
]

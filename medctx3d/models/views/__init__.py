"""Views of volumes that self-supervision compares, made on the device."""

from medctx3d.models.views.intensity_jitter import IntensityJitter
from medctx3d.models.views.percentile_curve import PercentileCurve
from medctx3d.models.views.position_crops import Crops, PositionCrops, grid_overlap
from medctx3d.models.views.random_views import Placement, RandomViews

__all__ = [
    'Crops',
    'IntensityJitter',
    'PercentileCurve',
    'Placement',
    'PositionCrops',
    'RandomViews',
    'grid_overlap',
]

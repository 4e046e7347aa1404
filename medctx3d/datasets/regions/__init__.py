"""Regions (super-pixels and super-voxels) of volumes, made once and kept in files."""

from medctx3d.datasets.regions.felzenszwalb import felzenszwalb_3d
from medctx3d.datasets.regions.grow import grow_regions
from medctx3d.datasets.regions.make import make_maps, plan_maps
from medctx3d.datasets.regions.purity import describe_regions
from medctx3d.datasets.regions.region_map import check_region_map, load_regions, region_map_path
from medctx3d.datasets.regions.settings import GROWTH, PRESETS, RegionSettings

__all__ = [
    'GROWTH',
    'PRESETS',
    'RegionSettings',
    'check_region_map',
    'describe_regions',
    'felzenszwalb_3d',
    'grow_regions',
    'load_regions',
    'make_maps',
    'plan_maps',
    'region_map_path',
]

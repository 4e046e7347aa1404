"""Pictures of volumes with their labels."""

from medctx3d.visualization.overlay import draw_overlay
from medctx3d.visualization.region_picture import draw_regions
from medctx3d.visualization.volume_visualizer import VolumeVisualizer

__all__ = ['VolumeVisualizer', 'draw_overlay', 'draw_regions']

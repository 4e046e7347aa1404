"""Joint supervised and self-supervised training of 3D medical segmentors."""

from medctx3d.version import __version__

__all__ = ['__version__']

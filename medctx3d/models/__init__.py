"""Networks, heads, losses, masking, teachers and the segmentor that joins them."""

from medctx3d.models import (
    backbones,
    blocks,
    heads,
    losses,
    masking,
    networks,
    preprocessors,
    segmentors,
    selfsup,
    teachers,
    views,
)

__all__ = [
    'backbones',
    'blocks',
    'heads',
    'losses',
    'masking',
    'networks',
    'preprocessors',
    'segmentors',
    'selfsup',
    'teachers',
    'views',
]

"""Masking strategies: they only sample; applying a mask is one function."""

from medctx3d.models.masking.block_mask import BlockMask
from medctx3d.models.masking.functional import cell_grid, hide, resize_mask
from medctx3d.models.masking.masking_strategy import MaskingStrategy
from medctx3d.models.masking.organ_mask import OrganMask
from medctx3d.models.masking.random_mask import RandomMask
from medctx3d.models.masking.tube_mask import TubeMask

__all__ = ['BlockMask', 'MaskingStrategy', 'OrganMask', 'RandomMask', 'TubeMask', 'cell_grid', 'hide', 'resize_mask']

"""Losses: tensors in, scalar out; they know no model."""

from medctx3d.models.losses.consistency_loss import ConsistencyLoss
from medctx3d.models.losses.kl_consistency_loss import KLConsistencyLoss
from medctx3d.models.losses.region_contrast_loss import RegionContrastLoss
from medctx3d.models.losses.seg_criterion import SegCriterion
from medctx3d.models.losses.voco_loss import VoCoLoss

__all__ = ['ConsistencyLoss', 'KLConsistencyLoss', 'RegionContrastLoss', 'SegCriterion', 'VoCoLoss']

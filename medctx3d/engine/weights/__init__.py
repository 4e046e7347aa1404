"""Pretrained weights, of this package and of others, into its networks."""

from medctx3d.engine.weights.fitting import Target, fit, target_of
from medctx3d.engine.weights.loading import (
    MIN_COVERAGE,
    CoverageError,
    PretrainedWeights,
    examine,
    load_pretrained,
)
from medctx3d.engine.weights.merge_order import merge_order
from medctx3d.engine.weights.namings import NAMINGS
from medctx3d.engine.weights.origin import manifest_of, pretrained_parts
from medctx3d.engine.weights.report import Entry, WeightsReport
from medctx3d.engine.weights.source import Source, read_source

__all__ = [
    'MIN_COVERAGE',
    'NAMINGS',
    'CoverageError',
    'Entry',
    'PretrainedWeights',
    'Source',
    'Target',
    'WeightsReport',
    'examine',
    'fit',
    'load_pretrained',
    'manifest_of',
    'merge_order',
    'pretrained_parts',
    'read_source',
    'target_of',
]

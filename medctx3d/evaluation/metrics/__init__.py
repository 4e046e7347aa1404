"""Metrics of whole volumes."""

from medctx3d.evaluation.metrics.case_scores import score_case
from medctx3d.evaluation.metrics.conventions import CONVENTIONS
from medctx3d.evaluation.metrics.metric_table import METRIC_NAMES
from medctx3d.evaluation.metrics.score_rules import ScoreRules
from medctx3d.evaluation.metrics.surfaces import SURFACE_RULES
from medctx3d.evaluation.metrics.volume_metric import VolumeMetric

__all__ = ['CONVENTIONS', 'METRIC_NAMES', 'SURFACE_RULES', 'ScoreRules', 'VolumeMetric', 'score_case']

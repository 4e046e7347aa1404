"""Metrics of whole volumes."""

from medctx3d.evaluation.metrics.case_scores import ABSENT_RULES, METRIC_NAMES, ScoreRules, score_case
from medctx3d.evaluation.metrics.volume_metric import VolumeMetric

__all__ = ['ABSENT_RULES', 'METRIC_NAMES', 'ScoreRules', 'VolumeMetric', 'score_case']

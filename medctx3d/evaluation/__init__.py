"""Scores of predicted label volumes, their table and their files."""

from medctx3d.evaluation.metrics import ABSENT_RULES, METRIC_NAMES, ScoreRules, VolumeMetric, score_case
from medctx3d.evaluation.report import print_table, write_results

__all__ = ['ABSENT_RULES', 'METRIC_NAMES', 'ScoreRules', 'VolumeMetric', 'print_table', 'score_case', 'write_results']

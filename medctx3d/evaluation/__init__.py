"""Scores of predicted label volumes, their table and their files."""

from medctx3d.evaluation.metrics import (
    CONVENTIONS,
    METRIC_NAMES,
    SURFACE_RULES,
    ScoreRules,
    VolumeMetric,
    score_case,
)
from medctx3d.evaluation.report import print_table, write_results

__all__ = [
    'CONVENTIONS',
    'METRIC_NAMES',
    'SURFACE_RULES',
    'ScoreRules',
    'VolumeMetric',
    'print_table',
    'score_case',
    'write_results',
]

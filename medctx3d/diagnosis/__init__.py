"""What is wrong with a data set and a machine, before a training finds out."""

from medctx3d.diagnosis.facts import CaseFacts, Facts, FileFacts, SplitFacts
from medctx3d.diagnosis.finding import SEVERITIES, Finding, Problem
from medctx3d.diagnosis.table import CHEAP, CHECKS, Check, run_checks

__all__ = [
    'CHEAP',
    'CHECKS',
    'SEVERITIES',
    'CaseFacts',
    'Check',
    'Facts',
    'FileFacts',
    'Finding',
    'Problem',
    'SplitFacts',
    'run_checks',
]

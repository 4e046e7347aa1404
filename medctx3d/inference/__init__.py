"""Prediction of whole volumes in bounded memory."""

from medctx3d.inference.air import air_value
from medctx3d.inference.averaged_scorer import AveragedScorer
from medctx3d.inference.footprint import Measured, measure_network
from medctx3d.inference.lean_pipeline import run_lean, wanted_shape
from medctx3d.inference.memory_plan import CaseSize, MemoryLimitError, MemoryPlan, plan_memory
from medctx3d.inference.options import PredictionOptions
from medctx3d.inference.sinks import EntropyFile, ProbabilityFile, map_files
from medctx3d.inference.streamed_window_inferer import StreamedWindowInferer

__all__ = [
    'AveragedScorer',
    'CaseSize',
    'EntropyFile',
    'Measured',
    'MemoryLimitError',
    'MemoryPlan',
    'PredictionOptions',
    'ProbabilityFile',
    'StreamedWindowInferer',
    'air_value',
    'map_files',
    'measure_network',
    'plan_memory',
    'run_lean',
    'wanted_shape',
]

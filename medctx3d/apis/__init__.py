"""Use a trained model from Python."""

from medctx3d.apis.case_files import Case, find_cases
from medctx3d.apis.inference_progress import InferenceSummary
from medctx3d.apis.inferencer import VolumeInferencer
from medctx3d.apis.init_model import init_model
from medctx3d.apis.memory import check_memory
from medctx3d.apis.segment import prepare_volume, save_segmentation, segment_volume, segmentation_on_source_grid

__all__ = [
    'Case',
    'InferenceSummary',
    'VolumeInferencer',
    'check_memory',
    'find_cases',
    'init_model',
    'prepare_volume',
    'save_segmentation',
    'segment_volume',
    'segmentation_on_source_grid',
]

"""Hooks: they observe time; mathematics lives in the model."""

from medctx3d.engine.hooks.collapse_monitor_hook import CollapseMonitorHook
from medctx3d.engine.hooks.data_manifest_hook import DataManifestHook
from medctx3d.engine.hooks.ema_teacher_hook import EMATeacherHook
from medctx3d.engine.hooks.freeze_hook import FreezeHook
from medctx3d.engine.hooks.iteration_seed_hook import IterationSeedHook
from medctx3d.engine.hooks.nonfinite_hook import NonFiniteHook
from medctx3d.engine.hooks.objective_monitor_hook import ObjectiveMonitorHook
from medctx3d.engine.hooks.portable_checkpoint_hook import PortableCheckpointHook
from medctx3d.engine.hooks.probe_hook import ProbeHook
from medctx3d.engine.hooks.progress_hook import ProgressHook
from medctx3d.engine.hooks.ramp_up_hook import RampUpHook
from medctx3d.engine.hooks.safe_checkpoint_hook import SafeCheckpointHook
from medctx3d.engine.hooks.trivial_floor_hook import TrivialFloorHook
from medctx3d.engine.hooks.volume_visualization_hook import VolumeVisualizationHook
from medctx3d.engine.hooks.watchdog_hook import WatchdogHook

__all__ = [
    'CollapseMonitorHook',
    'DataManifestHook',
    'EMATeacherHook',
    'FreezeHook',
    'IterationSeedHook',
    'NonFiniteHook',
    'ObjectiveMonitorHook',
    'PortableCheckpointHook',
    'ProbeHook',
    'ProgressHook',
    'RampUpHook',
    'SafeCheckpointHook',
    'TrivialFloorHook',
    'VolumeVisualizationHook',
    'WatchdogHook',
]

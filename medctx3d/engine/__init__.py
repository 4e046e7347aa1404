"""What mmengine's Runner needs beside its own: hooks, checkpoints, mixed precision on the CPU."""

from medctx3d.engine import hooks
from medctx3d.engine.checkpoint import CheckpointError, load_checkpoint_file, load_weights
from medctx3d.engine.launch import build_runner, load_config, prepare_launch
from medctx3d.engine.loops import SeekingTrainLoop
from medctx3d.engine.optim_wrappers import CPUAmpOptimWrapper

__all__ = [
    'CPUAmpOptimWrapper',
    'CheckpointError',
    'SeekingTrainLoop',
    'build_runner',
    'hooks',
    'load_checkpoint_file',
    'load_config',
    'load_weights',
    'prepare_launch',
]

"""What every tool does between its command line and the Runner."""

from __future__ import annotations

import contextlib
import difflib
import io
import logging
import os
import sys
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import init_dist, is_distributed
from mmengine.runner import Runner

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')


def load_config(path: str | Path, options: dict[str, Any] | None = None) -> Config:
    """Read a config file and merge command-line options.

    Args:
        path: A ``.py``, ``.json`` or ``.yaml`` config.
        options: From ``--cfg-options``, dotted keys.

    Raises:
        FileNotFoundError: There is no such file; the message has the closest names in its folder.
    """
    path = Path(path)
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path('configs')
        names = [str(candidate) for candidate in folder.rglob('*.py') if '_base_' not in candidate.parts]
        close = difflib.get_close_matches(str(path), names, n=3, cutoff=0.5)
        hint = f' Closest: {", ".join(close)}.' if close else ''
        raise FileNotFoundError(f'config {path} does not exist.{hint}')
    config = Config.fromfile(str(path), lazy_import=False)
    if options:
        config.merge_from_dict(options)
    return config


def default_work_dir(config: Config, config_path: str | Path, given: str | None) -> str:
    """``--work-dir``, else the config's own, else ``work_dirs/<config name>``."""
    return given or config.get('work_dir') or os.path.join('work_dirs', Path(config_path).stem)


def prepare_launch(config: Config, launcher: str) -> None:
    """Start the process group that mmengine cannot start: several processes without a GPU.

    mmengine's launchers call CUDA; here gloo is initialised before the Runner, which then keeps it, and the model
    wrapper is told that there is no device to pin to.

    Args:
        config: Changed in place.
        launcher: One of ``LAUNCHERS``.
    """
    config.launcher = launcher
    if launcher == 'none' or torch.cuda.is_available():
        return
    if not is_distributed():
        if launcher == 'pytorch':
            torch.distributed.init_process_group('gloo')
        else:
            init_dist(launcher, backend='gloo')
    wrapper = dict(config.get('model_wrapper_cfg') or dict(type='MMDistributedDataParallel'))
    wrapper.setdefault('find_unused_parameters', config.get('find_unused_parameters', False))
    wrapper['device_ids'] = None
    config.model_wrapper_cfg = wrapper


def close_schedules(config: Config) -> None:
    """Let parameter schedulers without ``end`` run to the end of training, so that its length is typed once.

    One that would begin after the end is dropped: a run cut short on the command line then only warms up.

    Args:
        config: Changed in place.
    """
    schedulers = config.get('param_scheduler') or []
    loop = config.get('train_cfg') or {}
    kept = []
    for scheduler in schedulers if isinstance(schedulers, (list, tuple)) else [schedulers]:
        length = loop.get('max_epochs') if scheduler.get('by_epoch', True) else loop.get('max_iters')
        if 'end' not in scheduler and length is not None:
            if scheduler.get('begin', 0) >= length:
                continue
            scheduler['end'] = length
        kept.append(scheduler)
    config.param_scheduler = kept


def use_amp(config: Config, dtype: str) -> None:
    """Switch the optim wrapper of a config to mixed precision.

    Args:
        config: Changed in place.
        dtype: ``float16`` or ``bfloat16``; on the CPU only the latter.

    Raises:
        ValueError: float16 without a GPU.
    """
    wrapper = config.optim_wrapper
    if torch.cuda.is_available():
        wrapper.type = 'AmpOptimWrapper'
        wrapper.dtype = dtype
        if dtype == 'float16':
            wrapper.setdefault('loss_scale', 'dynamic')
        return
    if dtype != 'bfloat16':
        raise ValueError('--amp float16 needs a GPU: on the CPU use --amp bfloat16')
    wrapper.type = 'CPUAmpOptimWrapper'


def build_runner(config: Config, *, verbose: bool = False) -> Runner:
    """The Runner of a config.

    mmengine prints its environment, the config and every hook before it starts. All that goes to the log file; the
    console gets it only if asked, and warnings in any case.

    Args:
        config: A complete config.
        verbose: Leave mmengine's console log as it is.
    """
    if verbose:
        return Runner.from_cfg(config)
    with contextlib.redirect_stdout(io.StringIO()):  # the console handler keeps the stream it finds when it is made
        runner = Runner.from_cfg(config)
    for handler in runner.logger.handlers:
        if type(handler) is logging.StreamHandler:
            handler.setStream(sys.stdout)
            handler.setLevel(logging.WARNING)
    return runner

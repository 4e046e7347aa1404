"""What a config leaves open, filled in before it is used."""

from __future__ import annotations

import torch
from mmengine.config import Config

from medctx3d.utils.config_check import ConfigError


def close_schedules(config: Config) -> None:
    """Let parameter schedulers without ``end`` run to the end of training, so that its length is typed once.

    One that would begin after the end is dropped: a run cut short on the command line then only warms up.

    Args:
        config: Changed in place.

    Raises:
        ConfigError: The length is no positive whole number.
    """
    schedulers = config.get('param_scheduler') or []
    loop = config.get('train_cfg') or {}
    kept = []
    for scheduler in schedulers if isinstance(schedulers, (list, tuple)) else [schedulers]:
        key = 'max_epochs' if scheduler.get('by_epoch', True) else 'max_iters'
        length = loop.get(key)
        if length is not None and (not isinstance(length, int) or length < 1):
            raise ConfigError(f'train_cfg.{key} must be a whole number of at least 1, got {length!r}')
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

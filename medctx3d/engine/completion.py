"""What a config leaves open, filled in before it is used."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.config import Config

from medctx3d.utils.config_check import ConfigError

SHORTEST = 2  # steps: mmengine's LinearLR over a single one never reaches its end


def close_schedules(config: Config) -> None:
    """Fit parameter schedulers to the length of training, so that it is typed once.

    One without ``end`` runs to the end of training. ``begin_share`` and ``end_share``, in 0..1, stand for that share
    of all iterations (or epochs). One that would begin after the end is dropped (a run cut short on the command line
    then only warms up), and so is one whose share is less than two steps.

    Args:
        config: Changed in place.

    Raises:
        ConfigError: The length is no positive whole number, or a share is none, has no length to be a share of, or
            stands beside the step it means.
    """
    schedulers = config.get('param_scheduler') or []
    loop = config.get('train_cfg') or {}
    kept = []
    for scheduler in schedulers if isinstance(schedulers, (list, tuple)) else [schedulers]:
        key = 'max_epochs' if scheduler.get('by_epoch', True) else 'max_iters'
        length = loop.get(key)
        if length is not None and (not isinstance(length, int) or length < 1):
            raise ConfigError(f'train_cfg.{key} must be a whole number of at least 1, got {length!r}')
        shared = _settle_shares(scheduler, f'train_cfg.{key}', length)
        if 'end' not in scheduler and length is not None:
            if scheduler.get('begin', 0) >= length:
                continue
            scheduler['end'] = length
        if shared and scheduler['end'] - scheduler.get('begin', 0) < SHORTEST:
            continue
        kept.append(scheduler)
    config.param_scheduler = kept


def _settle_shares(scheduler: Any, key: str, length: int | None) -> bool:
    """Put steps in the place of shares; whether there were any."""
    shares = [name for name in ('begin_share', 'end_share') if name in scheduler]
    for name in shares:
        step, share = name.removesuffix('_share'), scheduler.pop(name)
        place = f'param_scheduler: {name} of {scheduler.get("type")}'
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise ConfigError(f'{place} must be a share of the training in 0..1, got {share!r}')
        if step in scheduler:
            raise ConfigError(f'{place} is {share}, and {step} is {scheduler[step]}: keep one of them')
        if length is None:
            raise ConfigError(f'{place} is a share of {key}, which is not set: set it, or {step}= in steps')
        scheduler[step] = round(share * length)
    return bool(shares)


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

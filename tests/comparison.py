"""What two trainings that should be the same are compared by. Not a test file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from medctx3d.apis.start_checkpoint import newest_whole
from medctx3d.engine.checkpoint import load_checkpoint_file
from medctx3d.engine.checkpoint_store import CheckpointStore


def everything(path: Path) -> dict[str, Any]:
    """All that a checkpoint holds of a training, by name: weights, teacher, optimiser, loss scaler, schedules, log.

    Args:
        path: A checkpoint, or a work dir for its newest.
    """
    if path.is_dir():
        newest, _ = newest_whole(CheckpointStore(path))
        assert newest is not None, f'{path} holds no checkpoint'
        path = newest
    content = load_checkpoint_file(path)
    found = dict(content['state_dict'])
    for index, state in content['optimizer']['state'].items():
        found |= {f'optimizer.{index}.{key}': value for key, value in state.items()}
    found['schedules'] = repr(content['param_schedulers'])
    found['log'] = content['message_hub']['log_scalars']['train/loss']['history_buffer'][0]
    return found


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Names of what is not the same bit for bit."""
    names = sorted(first.keys() ^ second.keys())
    for name in first.keys() & second.keys():
        one, other = first[name], second[name]
        same = torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other
        names += [] if same else [name]
    return names

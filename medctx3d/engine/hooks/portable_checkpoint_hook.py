"""Checkpoints that hold tensors and plain data only."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner

from medctx3d.registry import HOOKS

_MARK = 'history_buffer'


@HOOKS.register_module()
class PortableCheckpointHook(Hook):
    """Write mmengine's log buffers as tensors and rebuild them on resume.

    The files then load with ``torch.load(weights_only=True)``, which refuses mmengine's own classes, and need no
    library but torch to be read.
    """

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Replace what a restricted unpickler refuses."""
        checkpoint['message_hub'] = _to_plain(checkpoint['message_hub'])
        checkpoint['meta'] = _to_plain(checkpoint['meta'])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Rebuild the buffers; mmengine's own checkpoints never get here, they are refused while loading."""
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = _from_plain(checkpoint['message_hub'])


def _to_plain(value: Any) -> Any:
    if isinstance(value, HistoryBuffer):
        log, count = value.data
        arrays = (np.ascontiguousarray(log), np.ascontiguousarray(count))  # lists would take seconds to read back
        return {_MARK: [torch.from_numpy(array) for array in arrays], 'max_length': value.max_length}
    if isinstance(value, dict):
        return {key: _to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_to_plain(item) for item in value]
        return tuple(items) if isinstance(value, tuple) else items  # mmengine compares the data set's, type for type
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return value


def _from_plain(value: Any) -> Any:
    if isinstance(value, dict):
        if _MARK in value:
            log, count = (np.asarray(numbers) for numbers in value[_MARK])
            return HistoryBuffer(log, count, max_length=value['max_length'])
        return {key: _from_plain(item) for key, item in value.items()}
    return value

"""Looking at a model in the middle of a training without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def left_alone(model: nn.Module) -> Iterator[None]:
    """Put buffers (BatchNorm statistics, queues) and random states back as they were before."""
    before = [buffer.clone() for buffer in model.buffers()]
    devices = sorted({weight.device.index for weight in model.parameters() if weight.is_cuda})
    with torch.random.fork_rng(devices=devices):
        yield
    with torch.no_grad():
        for buffer, value in zip(model.buffers(), before, strict=True):
            buffer.copy_(value)

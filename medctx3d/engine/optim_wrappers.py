"""Mixed precision without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn
from torch.optim import Optimizer

from medctx3d.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """mmengine's OptimWrapper with bfloat16 autocast on the CPU; its AmpOptimWrapper runs on GPUs only.

    bfloat16 has fp32's range, so there is no loss scale.

    Args:
        optimizer: A built optimizer.
        accumulative_counts: Micro-batches per optimiser step.
        clip_grad: As in mmengine's OptimWrapper.
    """

    cast_dtype = torch.bfloat16

    def __init__(self, optimizer: Optimizer, accumulative_counts: int = 1, clip_grad: dict | None = None) -> None:
        super().__init__(optimizer, accumulative_counts=accumulative_counts, clip_grad=clip_grad)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast around the forward pass."""
        with super().optim_context(model), torch.autocast('cpu', dtype=self.cast_dtype):
            yield

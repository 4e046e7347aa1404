"""Distributed training in several backward passes per step."""

from __future__ import annotations

from typing import Any

from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from torch import Tensor

from medctx3d.models.segmentors.sequential_step import sequential_step
from medctx3d.models.segmentors.volume_segmentor import VolumeSegmentor
from medctx3d.registry import MODEL_WRAPPERS


@MODEL_WRAPPERS.register_module()
class SequentialDistributedDataParallel(MMDistributedDataParallel):
    """DistributedDataParallel for a segmentor with ``passes='sequential'``; the tools put it there.

    Gradients are exchanged in the last pass of a step alone. A parameter that this pass does not use, such as one of
    another auxiliary head, must be searched for; that is switched on where there are two heads or more.

    Args:
        module: The segmentor.
        find_unused_parameters: Search in any case.
        kwargs: Of mmengine's MMDistributedDataParallel.

    Raises:
        ValueError: The module is no segmentor with ``passes='sequential'``, or ``detect_anomalous_params`` is set,
            which knows one backward pass only.
    """

    def __init__(self, module: VolumeSegmentor, *, find_unused_parameters: bool = False, **kwargs: Any) -> None:
        if getattr(module, 'passes', None) != 'sequential':
            raise ValueError(
                "SequentialDistributedDataParallel: the model must be a VolumeSegmentor with passes='sequential', got "
                f'{type(module).__name__}: use MMDistributedDataParallel'
            )
        if kwargs.get('detect_anomalous_params'):
            raise ValueError(
                'SequentialDistributedDataParallel: detect_anomalous_params would report what only the last pass '
                "leaves out: set passes='sum' to search for such parameters"
            )
        search = find_unused_parameters or len(module.auxiliary) > 1
        super().__init__(module, find_unused_parameters=search, **kwargs)

    def train_step(self, data: Any, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """One step; see :func:`sequential_step`."""
        return sequential_step(self, data, optim_wrapper)

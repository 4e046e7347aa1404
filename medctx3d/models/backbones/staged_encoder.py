"""What convolutional encoders have in common."""

from __future__ import annotations

import abc
from collections.abc import Iterable

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from medctx3d.models.blocks.strides import Steps, total_strides


class StagedEncoder(BaseModule, abc.ABC):
    """A chain of stages, each of which takes the feature of the one before; abstract.

    Args:
        stages: One module per stage.
        channels: Of each stage, finest first.
        steps: Stride of each stage relative to the one before.
        use_checkpoint: Recompute stages in the backward pass instead of storing them.
        init_cfg: mmengine's initialisation.
    """

    @abc.abstractmethod
    def __init__(
        self,
        stages: Iterable[nn.Module],
        *,
        channels: Iterable[int],
        steps: Steps,
        use_checkpoint: bool,
        init_cfg: dict | None,
    ) -> None:
        super().__init__(init_cfg)
        self.stages = nn.ModuleList(stages)
        self.use_checkpoint = use_checkpoint
        self.out_channels = tuple(channels)
        self.out_strides = total_strides(steps)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> tuple[Tensor, ...]:
        """Encode a crop.

        Args:
            inputs: (N, C, X, Y, Z), sides multiples of the last of ``out_strides``.
            mask: None; a convolutional encoder has no tokens.

        Returns:
            One feature per stage, finest first, as ``out_channels`` and ``out_strides`` state.

        Raises:
            ValueError: A token mask is given, or a side is no such multiple.
        """
        if mask is not None:
            raise ValueError(
                f"{type(self).__name__} has no tokens to hide: set mask_space='voxel' in the head's config"
            )
        coarsest = self.out_strides[-1]
        if any(side % stride for side, stride in zip(inputs.shape[2:], coarsest, strict=True)):
            raise ValueError(
                f'{type(self).__name__}: crop sides must be multiples of {coarsest}, the stride of its last stage, '
                f'got {tuple(inputs.shape[2:])}'
            )
        features, current = [], inputs
        for stage in self.stages:
            if self.use_checkpoint and self.training and torch.is_grad_enabled():
                current = checkpoint(stage, current, use_reentrant=False)
            else:
                current = stage(current)
            features.append(current)
        return tuple(features)

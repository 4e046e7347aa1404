"""What is left of a segmentor when training is over."""

from __future__ import annotations

import copy

from torch import Tensor, nn


class DeployedNetwork(nn.Module):
    """A window of a volume in, its finest logits out; in eval mode and without activation checkpointing.

    Args:
        model: A segmentor whose ``network``, or teacher if ``predict_with='teacher'``, is copied to the CPU.

    Raises:
        ValueError: The model has no ``network``, or its teacher never received weights.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        network = getattr(model, 'network', None)
        teacher = getattr(model, 'teacher', None)
        if getattr(model, 'predict_with', 'student') == 'teacher' and teacher is not None:
            if not teacher.primed:
                raise ValueError('the teacher of this model never received weights: load a checkpoint that has them')
            network = teacher.module
        if not isinstance(network, nn.Module):
            raise ValueError(f'{type(model).__name__} has no network to deploy: a VolumeSegmentor has')
        self.network = copy.deepcopy(network).cpu().requires_grad_(False)
        for module in self.network.modules():
            if getattr(module, 'use_checkpoint', False):
                # MONAI's networks recompute whenever it is set, also without gradients, and cannot be traced then.
                vars(module).update(use_checkpoint=False)
        self.eval()

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, X, Y, Z) float32 to logits (N, K, X, Y, Z)."""
        return self.network(image).logits[0]

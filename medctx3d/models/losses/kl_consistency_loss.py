"""Divergence of the student's class probabilities from the teacher's."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medctx3d.models.losses.consistency_loss import mean_per_sample
from medctx3d.registry import LOSSES


@LOSSES.register_module()
class KLConsistencyLoss(nn.Module):
    r"""Kullback-Leibler divergence between teacher and student, always computed in fp32.

    :math:`T^2 \sum_k p_k \log (p_k / q_k)` with teacher :math:`p = \mathrm{softmax}(z_T / T)` and student
    :math:`q = \mathrm{softmax}(\tilde z / T)`, averaged over the voxels of a sample, then over the batch. The factor
    :math:`T^2` keeps the size of the gradient as the temperature changes (Hinton et al., arXiv 1503.02531).

    Args:
        temperature: T; above 1 softens both distributions, so that unlikely classes count more.

    Raises:
        ValueError: The temperature is not positive.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f'KLConsistencyLoss: temperature must be positive, got {temperature}')
        self.temperature = temperature

    def forward(self, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compare two answers; arguments and answer as in :class:`ConsistencyLoss`."""
        with torch.autocast(device_type=pred.device.type, enabled=False):
            dtype = torch.float64 if pred.dtype == torch.float64 else torch.float32
            student = F.log_softmax(pred.to(dtype) / self.temperature, dim=1)
            taught = F.log_softmax(target.detach().to(dtype) / self.temperature, dim=1)
            divergence = (taught.exp() * (taught - student)).sum(dim=1, keepdim=True)
            return self.temperature**2 * mean_per_sample(divergence, mask).mean()

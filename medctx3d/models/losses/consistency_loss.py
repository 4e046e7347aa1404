"""Distance between the student's and the teacher's answer."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medctx3d.registry import LOSSES


@LOSSES.register_module()
class ConsistencyLoss(nn.Module):
    r"""Squared distance between student and teacher, always computed in fp32.

    With student :math:`\tilde z` and teacher :math:`z_T`, both (N, K, X, Y, Z):

    - ``mean_square``: per sample :math:`\mathrm{mean}(\tilde z - z_T)^2 / \mathrm{mean}(z_T^2)`, then the mean over
      the batch. A relative error: it does not change with crop size, batch size or the scale of the logits, and
      ranks of a distributed run average to the value of one process.
    - ``frobenius``: :math:`\mathrm{mean}(\tilde z - z_T)^2 / \|z_T\|_F` with the norm over the whole batch, the
      published form (MedContext, arXiv 2402.17725). It shrinks with the square root of the number of voxels: about
      1e-4 at 96^3 with 14 classes, beside a Dice + cross-entropy near 1.
    - ``none``: the plain mean squared error.

    Args:
        normalize: One of the three forms.
        space: Compare ``logits`` or ``probabilities`` (softmax over K).
        temperature: Divides both answers before the softmax; for ``probabilities`` alone.

    Raises:
        ValueError: An unknown form or space, a temperature that is not positive, or one for ``logits``.
    """

    def __init__(
        self,
        normalize: Literal['mean_square', 'frobenius', 'none'] = 'mean_square',
        *,
        space: Literal['logits', 'probabilities'] = 'logits',
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        if normalize not in ('mean_square', 'frobenius', 'none'):
            raise ValueError(f"normalize must be 'mean_square', 'frobenius' or 'none', got {normalize!r}")
        if space not in ('logits', 'probabilities'):
            raise ValueError(f"space must be 'logits' or 'probabilities', got {space!r}")
        if temperature <= 0 or (temperature != 1 and space == 'logits'):
            raise ValueError(
                "ConsistencyLoss: temperature must be positive, and 1 unless space='probabilities', "
                f'got {temperature} with space={space!r}'
            )
        self.normalize = normalize
        self.space = space
        self.temperature = temperature

    def forward(self, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compare two answers.

        Args:
            pred: (N, K, X, Y, Z) student logits.
            target: (N, K, X, Y, Z) teacher logits; no gradient flows into them.
            mask: (N, X, Y, Z) bool; only True voxels count. None: all.

        Returns:
            Scalar, fp32 (fp64 for fp64 logits).
        """
        with torch.autocast(device_type=pred.device.type, enabled=False):
            dtype = torch.float64 if pred.dtype == torch.float64 else torch.float32
            pred, target = pred.to(dtype), target.detach().to(dtype)
            if self.space == 'probabilities':
                pred = (pred / self.temperature).softmax(dim=1)
                target = (target / self.temperature).softmax(dim=1)
            error = mean_per_sample(F.mse_loss(pred, target, reduction='none'), mask)
            if self.normalize == 'mean_square':
                error = error / (mean_per_sample(target.square(), mask) + torch.finfo(dtype).eps)
            elif self.normalize == 'frobenius':
                # by the mean: one running fp32 sum over tens of millions of squares loses digits
                norm = (target.square().mean() * target.numel()).sqrt()
                error = error / norm.clamp_min(torch.finfo(dtype).eps)
            return error.mean()


def mean_per_sample(values: Tensor, mask: Tensor | None) -> Tensor:
    """(N, K, X, Y, Z) to (N,): the mean over classes and the voxels that count; 0 where none does."""
    if mask is None:
        return values.flatten(1).mean(dim=1)
    weight = mask[:, None].to(values.dtype)
    return (values * weight).flatten(1).sum(dim=1) / (weight.flatten(1).sum(dim=1) * values.shape[1]).clamp_min(1)

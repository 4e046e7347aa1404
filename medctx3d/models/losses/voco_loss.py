"""How well similarity to a grid of base crops tells where a crop lies."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medctx3d.registry import LOSSES
from medctx3d.typing import Terms

Prediction = Literal['one_way', 'symmetric']
Form = Literal['joint', 'square', 'log']
Weighting = Literal['overlap', 'uniform']
Regular = Literal['square', 'absolute']
EPSILON = 1e-6


@LOSSES.register_module()
class VoCoLoss(nn.Module):
    r"""Volume contrast (Wu et al., CVPR 2024, arXiv 2402.17300; extended arXiv 2410.09890), in fp32.

    With overlaps :math:`y` and predictions :math:`l = \max(0, \cos)` of crop r and base k::

        one_way     l_rk = c(s_r, b'_k)                       s student, b' the teacher's bases, or detached ones
        symmetric   l_rk = (c(s_r, b'_k) + c(t_r, b_k)) / 2   t the teacher's crops, b the student's bases

        loss_position   overlap   sum_rk -y log(1 - |y - l| + e) / (sum y + e)
                        uniform   mean over y > 0 of -log(1 - |y - l| + e)
        loss_negative   square    mean over y = 0 of l^2
                        log       mean over y = 0 of -log(1 - l + e)
        loss_regular    square    mean over i < j of max(0, cos(b_i, b_j))^2
                        absolute  mean over i < j of |cos(b_i, b_j)|
        loss_inter      as the two above, with the teacher's l to the bases of the next volume for y

    ``form='joint'`` is the paper's text: the mean of ``-log(1 - |y - l| + e)`` over all bases, positive or not, and no
    ``loss_negative``; its regular term is ``absolute``. The predictions are cut at 0 in every form; the text has no
    such cut, and its logarithm does not exist where :math:`|y - l| \ge 1`.

    Beside the terms, for the log: ``prediction``, what position and negative terms sum to; ``floor_constant`` and
    ``floor_zero``, what the best constant l and l = 0 everywhere would score on the same overlaps;
    ``dead_fraction``, the share of predictions cut at 0, which pass no gradient; and ``overlap_error``, the mean
    distance of y and l.

    Args:
        prediction: How l is made.
        form: Of the negative term, or ``joint``.
        weighting: Of the positive term.
        regular: Whether opposite bases are as good as unrelated ones (``square``) or pay (``absolute``).
        detach_regular: Let the gradient of a pair reach its first base alone, as the released code does.
        inter_volume: Add the term between volumes, which needs a teacher and two volumes.

    Raises:
        ValueError: An unknown choice.
    """

    def __init__(
        self,
        *,
        prediction: Prediction = 'one_way',
        form: Form = 'log',
        weighting: Weighting = 'overlap',
        regular: Regular = 'square',
        detach_regular: bool = False,
        inter_volume: bool = False,
    ) -> None:
        super().__init__()
        for name, value, known in (
            ('prediction', prediction, Prediction),
            ('form', form, Form),
            ('weighting', weighting, Weighting),
            ('regular', regular, Regular),
        ):
            if value not in get_args(known):
                raise ValueError(f'VoCoLoss: {name} must be one of {get_args(known)}, got {value!r}')
        self.prediction = prediction
        self.form = form
        self.weighting = weighting
        self.regular = regular
        self.detach_regular = detach_regular
        self.inter_volume = inter_volume

    @torch.autocast('cuda', enabled=False)
    @torch.autocast('cpu', enabled=False)
    def forward(
        self, crops: Tensor, bases: Tensor, taught_crops: Tensor, taught_bases: Tensor, overlap: Tensor
    ) -> Terms:
        """Score embeddings.

        Args:
            crops: (N, Q, D) of the student.
            bases: (N, B, D) of the student.
            taught_crops: (N, Q, D) of the teacher; without teacher the student's, detached.
            taught_bases: (N, B, D) likewise.
            overlap: (N, Q, B), y.

        Returns:
            Scalars, means over the volumes.

        Raises:
            ValueError: ``inter_volume`` with one volume, which would be its own neighbour.
        """
        crops, bases, taught_crops, taught_bases = (
            F.normalize(rows.float(), dim=-1) for rows in (crops, bases, taught_crops.detach(), taught_bases.detach())
        )
        found = similarity(crops, taught_bases)
        if self.prediction == 'symmetric':
            found = (found + similarity(taught_crops, bases)) / 2
        terms = self._score(overlap, found)
        prediction = total(terms).detach()
        floors = self.constant_scores(overlap, torch.linspace(0, 0.99, 100, device=overlap.device))
        terms['loss_regular'] = self._regular(bases)
        if self.inter_volume:
            terms['loss_inter'] = self._inter(crops, bases, taught_crops, taught_bases)
        return terms | {
            'prediction': prediction,
            'floor_constant': floors.min(),
            'floor_zero': floors[0],
            'dead_fraction': (found <= 0).float().mean(),
            'overlap_error': (overlap - found.detach()).abs().mean(),
        }

    @torch.no_grad()
    def constant_scores(self, overlap: Tensor, constants: Tensor) -> Tensor:
        """What constant predictions (K,) in 0..1 score on overlaps (N, Q, B): (K,).

        A training that stays at the best of them has learnt nothing about places, however far its loss has fallen.
        """
        return total(self._score(overlap, constants.view(-1, 1, 1, 1).expand(-1, *overlap.shape)))

    def _score(self, overlap: Tensor, found: Tensor) -> Terms:
        """The terms that compare predictions (..., N, Q, B) with overlaps, means over the volumes."""
        distance = -torch.log(1 - (overlap - found).abs() + EPSILON)
        if self.form == 'joint':
            return {'loss_position': distance.mean(dim=(-3, -2, -1))}
        weight = overlap if self.weighting == 'overlap' else (overlap > 0).float()
        apart = (overlap == 0).float()
        penalty = found.square() if self.form == 'square' else -torch.log(1 - found + EPSILON)
        return {
            'loss_position': _weighted_mean(distance, weight).mean(dim=-1),
            'loss_negative': _weighted_mean(penalty, apart).mean(dim=-1),
        }

    def _regular(self, bases: Tensor) -> Tensor:
        """How alike the bases of a volume are, unit rows (N, B, D)."""
        first, second = torch.triu_indices(bases.shape[1], bases.shape[1], offset=1, device=bases.device)
        others = bases.detach() if self.detach_regular else bases
        alike = (bases[:, first] * others[:, second]).sum(dim=-1)
        return (alike.abs() if self.regular == 'absolute' else alike.clamp_min(0).square()).mean()

    def _inter(self, crops: Tensor, bases: Tensor, taught_crops: Tensor, taught_bases: Tensor) -> Tensor:
        """Agree with the teacher on the similarity to the bases of the next volume of the batch."""
        if len(crops) < 2:
            raise ValueError(
                'VoCoLoss: inter_volume compares volumes of a batch and needs two or more per process, got 1: set '
                'train_dataloader.batch_size=2 or more'
            )
        wanted = similarity(taught_crops, taught_bases.roll(-1, 0))
        return total(self._score(wanted, similarity(crops, bases.roll(-1, 0))))


def similarity(crops: Tensor, bases: Tensor) -> Tensor:
    """Cosines of unit rows (N, Q, D) and (N, B, D), cut at 0: (N, Q, B)."""
    return torch.einsum('nqd,nbd->nqb', crops, bases).clamp_min(0)


def total(terms: Terms) -> Tensor:
    """The sum of terms."""
    return torch.stack(list(terms.values())).sum(dim=0)


def _weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Over crops and bases, for each volume: (..., N, Q, B) to (..., N)."""
    return (weight * values).sum(dim=(-2, -1)) / (weight.sum(dim=(-2, -1)) + EPSILON)

"""Reconstruction of the missing organ in the output space."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from medctx3d.models.heads.auxiliary_head import AuxiliaryHead
from medctx3d.models.masking.functional import cell_grid, hide, resize_mask
from medctx3d.registry import HEADS, LOSSES, MASKINGS
from medctx3d.typing import SegOutput, Size3, View


@HEADS.register_module()
class MedContextHead(AuxiliaryHead):
    """Segment what the mask hid, and follow the teacher that saw it (MedContext, arXiv 2402.17725).

    With student S, teacher T, clean crop x, hidden crop m(x) and truth y::

        loss_*            criterion(S(m(x)), y)
        loss_consistency  weight * consistency(S(m(x)), T(x))

    Args:
        masking: A masking strategy.
        patch_size: Edge lengths of a mask cell, in voxels; must divide the crop.
        consistency: A consistency loss.
        weight: Of the consistency term (beta).
        mask_space: Hide ``voxel`` values (nothing leaks through skips), ``token`` embeddings (the full-resolution skip
            of a transformer U-Net still sees the image), or ``both``.
        region: Compare with the teacher on ``all`` voxels or only on the ``hidden`` ones.
        fill: Value of hidden voxels, in units of the normalised image.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: An unknown ``mask_space`` or ``region``, a cell edge below 1, or a negative weight.
    """

    requires_teacher: ClassVar[bool] = True

    def __init__(
        self,
        masking: dict | nn.Module,
        patch_size: Size3,
        *,
        consistency: dict | nn.Module,
        weight: float = 0.5,
        mask_space: Literal['voxel', 'token', 'both'] = 'voxel',
        region: Literal['all', 'hidden'] = 'all',
        fill: float = 0.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if mask_space not in ('voxel', 'token', 'both'):
            raise ValueError(f"MedContextHead: mask_space must be 'voxel', 'token' or 'both', got {mask_space!r}")
        if region not in ('all', 'hidden'):
            raise ValueError(f"MedContextHead: region must be 'all' or 'hidden', got {region!r}")
        if len(patch_size) != 3 or min(patch_size) < 1:
            raise ValueError(f'MedContextHead: patch_size must be three positive numbers of voxels, got {patch_size}')
        if weight < 0:
            raise ValueError(f'MedContextHead: weight must not be negative, got {weight}')
        self.masking = MASKINGS.build(masking) if isinstance(masking, dict) else masking
        self.consistency = LOSSES.build(consistency) if isinstance(consistency, dict) else consistency
        x, y, z = patch_size
        self.patch_size: Size3 = (x, y, z)
        self.weight = weight
        self.mask_space = mask_space
        self.region = region
        self.fill = fill

    def make_view(self, inputs: Tensor) -> View:
        """Hide cells of (N, C, X, Y, Z), drawn anew for every sample."""
        grid = cell_grid(tuple(inputs.shape[2:]), self.patch_size)
        mask = self.masking(len(inputs), grid, device=inputs.device)
        shown = inputs if self.mask_space == 'token' else hide(inputs, mask, self.fill)
        return View(shown, mask, None if self.mask_space == 'voxel' else mask)

    def loss(
        self,
        *,
        student: SegOutput,
        taught: SegOutput | None,
        target: Tensor,
        view: View | None,
        criterion: nn.Module,
    ) -> dict[str, Tensor]:
        """The supervised terms on the hidden crop, and the consistency term; see :class:`AuxiliaryHead`."""
        assert taught is not None, 'the segmentor checks requires_teacher when it is built'
        assert view is not None
        assert view.mask is not None
        x, y, z = target.shape[2:]
        hidden = resize_mask(view.mask, (x, y, z))
        region = None if self.region == 'all' else hidden
        terms = dict(criterion(student.logits, target))
        terms['loss_consistency'] = self.weight * self.consistency(student.logits[0], taught.logits[0], region)
        return terms | self._watch(student.logits[0], taught.logits[0], hidden)

    @staticmethod
    @torch.no_grad()
    def _watch(student: Tensor, taught: Tensor, hidden: Tensor) -> dict[str, Tensor]:
        """For the log only: how much is hidden, and where student and teacher name another class."""
        # max, not argmax: the same indices, five times as fast on the CPU over a dimension that is not the last
        differ = student.max(dim=1).indices != taught.max(dim=1).indices  # (N, X, Y, Z)
        inside, outside = differ & hidden, differ & ~hidden
        return {
            'hidden_fraction': hidden.float().mean(),
            'disagreement_hidden': inside.sum() / hidden.sum().clamp_min(1),
            'disagreement_visible': outside.sum() / (~hidden).sum().clamp_min(1),
        }

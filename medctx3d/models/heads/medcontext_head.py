"""Reconstruction of the missing organ in the output space."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from medctx3d.models.heads.auxiliary_head import AuxiliaryHead
from medctx3d.models.masking.functional import cell_grid, hide, resize_mask
from medctx3d.registry import HEADS, LOSSES, MASKINGS
from medctx3d.typing import Criterion, SegOutput, Size3, View

MaskSpace = Literal['voxel', 'token', 'both']
Region = Literal['all', 'hidden', 'hidden_foreground']


@HEADS.register_module()
class MedContextHead(AuxiliaryHead):
    """Segment what the mask hid, and follow the teacher that saw it (MedContext, arXiv 2402.17725).

    With student S, teacher T, clean crop x, hidden crop m(x) and truth y::

        loss_*            criterion(S(m(x)), y)
        loss_consistency  ramp * weight * consistency(S(m(x)), T(x))

    The first needs masks, the second a teacher; each can be left out, which gives the controls of the method: masks
    without teacher (masked supervision), and a teacher without masks (a mean teacher, m(x) = x).

    Args:
        masking: A masking strategy; None: nothing is hidden, the student's answer on the clean crop is scored.
        patch_size: Edge lengths of a mask cell, in voxels; must divide the crop. Needed where there are masks.
        consistency: A consistency loss; None: no teacher is followed.
        weight: Of the consistency term (beta).
        mask_space: Hide ``voxel`` values (nothing leaks through skips), ``token`` embeddings (the full-resolution skip
            of a transformer U-Net still sees the image), or ``both``.
        region: Compare with the teacher on ``all`` voxels, on the ``hidden`` ones, or on ``hidden_foreground``:
            hidden voxels of an organ, by the truth, or by the teacher where there is none.
        first_sample_only: Compare the first sample of the batch alone, as the published nnFormer trainers for ACDC and
            brain tumours do by an index that was meant for outputs.
        fill: Value of hidden voxels, in units of the normalised image.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: An unknown ``mask_space`` or ``region``, a cell edge below 1, a negative weight, neither masks nor
            consistency, masks without ``patch_size``, or a ``region`` of hidden voxels without masks.
    """

    def __init__(
        self,
        masking: dict | nn.Module | None,
        patch_size: Size3 | None = None,
        *,
        consistency: dict | nn.Module | None,
        weight: float = 0.5,
        mask_space: MaskSpace = 'voxel',
        region: Region = 'all',
        first_sample_only: bool = False,
        fill: float = 0.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        for name, value, known in (('mask_space', mask_space, MaskSpace), ('region', region, Region)):
            if value not in get_args(known):
                raise ValueError(f'MedContextHead: {name} must be one of {get_args(known)}, got {value!r}')
        if masking is None and consistency is None:
            raise ValueError('MedContextHead: without masking and without consistency there is nothing to learn')
        if masking is None and region != 'all':
            raise ValueError(
                f"MedContextHead: nothing is hidden without masking, so region must be 'all', got {region!r}"
            )
        if masking is not None and (patch_size is None or len(patch_size) != 3 or min(patch_size) < 1):
            raise ValueError(f'MedContextHead: patch_size must be three positive numbers of voxels, got {patch_size}')
        if weight < 0:
            raise ValueError(f'MedContextHead: weight must not be negative, got {weight}')
        self.masking = MASKINGS.build(masking) if isinstance(masking, dict) else masking
        self.consistency = LOSSES.build(consistency) if isinstance(consistency, dict) else consistency
        self.requires_teacher = consistency is not None
        self.patch_size = patch_size
        self.weight = weight
        self.mask_space = mask_space
        self.region = region
        self.first_sample_only = first_sample_only
        self.fill = fill

    def make_view(self, inputs: Tensor, target: Tensor) -> View | None:
        """Hide cells of (N, C, X, Y, Z), drawn anew for every sample; None without masking."""
        if self.masking is None or self.patch_size is None:
            return None
        grid = cell_grid(tuple(inputs.shape[2:]), self.patch_size)
        mask = self.masking(len(inputs), grid, device=inputs.device, labels=target)
        shown = inputs if self.mask_space == 'token' else hide(inputs, mask, self.fill)
        return View(shown, mask, None if self.mask_space == 'voxel' else mask)

    def loss(
        self,
        *,
        student: SegOutput,
        taught: SegOutput | None,
        target: Tensor,
        view: View | None,
        criterion: Criterion,
    ) -> dict[str, Tensor]:
        """The supervised terms on the hidden crop, and the consistency term; see :class:`AuxiliaryHead`."""
        x, y, z = target.shape[2:]
        hidden = None if view is None or view.mask is None else resize_mask(view.mask, (x, y, z))
        # without a view the student's answer is the clean one, which the segmentor has supervised
        terms = {} if view is None else dict(criterion(student.logits, target))
        if hidden is not None:
            terms['hidden_fraction'] = hidden.float().mean()
        if self.consistency is not None:
            assert taught is not None, 'the segmentor checks requires_teacher when it is built'
            terms |= self._follow(student.logits[0], taught.logits[0], target, hidden)
        return terms

    def _follow(self, student: Tensor, taught: Tensor, target: Tensor, hidden: Tensor | None) -> dict[str, Tensor]:
        """The consistency term, and for the log where student and teacher name another class."""
        assert self.consistency is not None
        region = None if self.region == 'all' else hidden
        if self.region == 'hidden_foreground' and hidden is not None:
            region = hidden & (torch.where(target[:, 0] < 0, taught.max(dim=1).indices, target[:, 0]) > 0)
        last = 1 if self.first_sample_only else len(student)
        distance = self.consistency(student[:last], taught[:last], None if region is None else region[:last])
        differ = _differ(student.detach(), taught)
        watched = {'disagreement': _share(differ, torch.ones_like(differ))}
        if hidden is not None:
            watched = {
                'disagreement_hidden': _share(differ, hidden),
                'disagreement_visible': _share(differ, ~hidden),
            }
        return {'loss_consistency': self.ramp * self.weight * distance} | watched


def _differ(student: Tensor, taught: Tensor) -> Tensor:
    """(N, X, Y, Z) bool: voxels where no class scores highest in both (N, K, X, Y, Z) answers.

    Written without indices of classes, whose search costs the CPU three times as much.
    """
    agreed = student >= student.amax(dim=1, keepdim=True)
    agreed &= taught >= taught.amax(dim=1, keepdim=True)
    return ~agreed.amax(dim=1)


def _share(true: Tensor, among: Tensor) -> Tensor:
    """Fraction of ``among`` that is ``true``; without indexing, which would make the device wait."""
    return (true & among).sum() / among.sum().clamp_min(1)

"""Supervised loss terms over every logits level."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medctx3d.registry import LOSSES


@LOSSES.register_module()
class SegCriterion(nn.Module):
    """Named loss terms, each summed over the logits levels with ``level_weights``.

    A term is any module called as ``term(logits, target)`` with logits (N, K, X, Y, Z) and target (N, 1, X, Y, Z),
    such as MONAI's by dotted path. Terms run in fp32 whatever the autocast state: sums over a whole crop pass the
    range of fp16.

    Args:
        level_weights: Weight of each logits level used, highest resolution first; coarser levels beyond are ignored.
        losses: Terms by name; every name starts with ``loss`` because mmengine sums what contains that word.

    Raises:
        ValueError: No term, a name that does not start with ``loss``, or no level weight.
    """

    def __init__(self, *, level_weights: Sequence[float] = (1.0,), **losses: dict | nn.Module) -> None:
        super().__init__()
        if not losses:
            raise ValueError("SegCriterion needs a term, such as loss_dice=dict(type='monai.losses.DiceCELoss', ...)")
        for name in losses:
            if not name.startswith('loss'):
                raise ValueError(f"SegCriterion: a term's name must start with 'loss', got {name!r}")
        if not level_weights:
            raise ValueError('SegCriterion: level_weights must name at least one level, got ()')
        self.level_weights = tuple(float(weight) for weight in level_weights)
        self.terms = nn.ModuleDict(
            {name: LOSSES.build(term) if isinstance(term, dict) else term for name, term in losses.items()}
        )

    def forward(self, logits: tuple[Tensor, ...], target: Tensor) -> dict[str, Tensor]:
        """Score logits against the truth.

        Args:
            logits: Levels, highest resolution first, each (N, K, x, y, z).
            target: (N, 1, X, Y, Z) class ids; brought to coarser levels by nearest neighbour.

        Returns:
            One scalar per term, by its name.

        Raises:
            ValueError: There are fewer logits levels than level weights.
        """
        if len(logits) < len(self.level_weights):
            raise ValueError(
                f'SegCriterion has {len(self.level_weights)} level_weights but the network answers with '
                f"{len(logits)} logits level(s): raise the decoder's number of levels or shorten level_weights"
            )
        totals: dict[str, Tensor] = {}
        with torch.autocast(device_type=target.device.type, enabled=False):
            for weight, level in zip(self.level_weights, logits, strict=False):
                level = level if level.dtype == torch.float64 else level.float()
                truth = _resize_target(target, tuple(level.shape[2:]))
                for name, term in self.terms.items():
                    value = weight * term(level, truth)
                    totals[name] = totals[name] + value if name in totals else value
        return totals


def _resize_target(target: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(target.shape[2:]) == size:
        return target
    return F.interpolate(target.float(), size=size, mode='nearest').to(target.dtype)

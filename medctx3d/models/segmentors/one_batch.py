"""The clean volume and all views through the network as one batch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from medctx3d.models.masking.functional import resize_mask
from medctx3d.typing import SegOutput, View


def answer_as_one_batch(network: nn.Module, inputs: Tensor, views: Sequence[View]) -> list[SegOutput]:
    """Ask a network once for what it would answer on the clean volume and on each view.

    Args:
        network: Volume, and token mask if a view has one, to :class:`SegOutput`; no statistics over the batch.
        inputs: (N, C, X, Y, Z) clean volumes.
        views: What the student is shown besides, each with inputs of that shape.

    Returns:
        The answer on the clean volume, then one per view.

    Raises:
        ValueError: A view's shape is not that of ``inputs``.
    """
    for view in views:
        if view.inputs.shape != inputs.shape:
            raise ValueError(
                f"passes='concatenated' needs views of the clean crops' shape {tuple(inputs.shape)}, got a view of "
                f"{tuple(view.inputs.shape)}: use passes='sum' or passes='sequential'"
            )
    batch = torch.cat([inputs, *(view.inputs for view in views)])
    token_mask = _joined_token_mask(len(inputs), views)
    answer = network(batch) if token_mask is None else network(batch, token_mask)
    count = 1 + len(views)
    logits = zip(*(level.chunk(count) for level in answer.logits), strict=True)
    features = (
        zip(*(feature.chunk(count) for feature in answer.features), strict=True) if answer.features else [()] * count
    )
    decoded = [None] * count if answer.decoded is None else answer.decoded.chunk(count)
    return [SegOutput(*parts) for parts in zip(logits, features, decoded, strict=True)]


def _joined_token_mask(count: int, views: Sequence[View]) -> Tensor | None:
    """Token masks of ``count`` clean volumes, which hide nothing, and of the views, on the coarsest common grid."""
    masks = [view.token_mask for view in views]
    given = [mask for mask in masks if mask is not None]
    if not given:
        return None
    x, y, z = (math.lcm(*sides) for sides in zip(*(mask.shape[1:] for mask in given), strict=True))
    nothing = given[0].new_zeros((count, x, y, z))
    return torch.cat([nothing, *(nothing if mask is None else resize_mask(mask, (x, y, z)) for mask in masks)])


def refuse_batch_statistics(network: nn.Module) -> None:
    """Refuse a network whose answer on one volume depends on the others of the batch.

    Raises:
        ValueError: A layer normalises by statistics of the batch; the message names it.
    """
    for name, layer in network.named_modules():
        if isinstance(layer, _BatchNorm) and layer.training:
            raise ValueError(
                f"passes='concatenated' puts clean and hidden crops into one batch, and network.{name} "
                f"({type(layer).__name__}) would mix their statistics: use norm='instance' in backbone and decode "
                "head, or passes='sum' or passes='sequential'"
            )

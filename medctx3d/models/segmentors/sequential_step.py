"""One training step as one backward pass per objective."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from medctx3d.typing import Objective, Terms


def sequential_step(model: nn.Module, data: Any, optim_wrapper: OptimWrapper) -> Terms:
    """Train on a batch with one forward and one backward pass per objective, and one optimiser step.

    Gradients add up to those of the sum of all terms, while the activations of one pass are held at a time. To the
    optimiser wrapper the passes are one micro-batch: loss scale, accumulation and clipping see their sum. Several
    processes exchange gradients in the last pass alone.

    Args:
        model: A segmentor, or DistributedDataParallel around it.
        data: A collated batch.
        optim_wrapper: mmengine's.

    Returns:
        What mmengine logs: all terms and ``loss``, their sum, without gradient.

    Raises:
        ValueError: A pass has no term to differentiate.
    """
    segmentor: Any = model.module if isinstance(model, DistributedDataParallel) else model
    with optim_wrapper.optim_context(model):
        objectives = segmentor.objectives(**segmentor.data_preprocessor(data, True))
    seen: Terms = {}
    while len(objectives) > 1:
        seen |= _backward(model, segmentor, objectives.pop(0), optim_wrapper)
    with optim_wrapper.optim_context(model):
        terms = model(objectives.pop(), mode='objective')  # what it held is free for the backward pass
    optim_wrapper.update_params(_total(segmentor, terms))
    seen |= _detached(terms)
    return segmentor.parse_losses(seen)[1]


def _backward(model: nn.Module, segmentor: Any, objective: Objective, optim_wrapper: OptimWrapper) -> Terms:
    """A pass that others follow: add to the gradients, no more."""
    quiet = model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()
    with quiet, optim_wrapper.optim_context(model):
        terms = model(objective, mode='objective')
    passed = optim_wrapper.inner_count
    optim_wrapper.backward(optim_wrapper.scale_loss(_total(segmentor, terms)))
    optim_wrapper._inner_count = passed  # it counts micro-batches, of which this is a part
    return _detached(terms)


def _total(segmentor: Any, terms: Terms) -> Tensor:
    total = segmentor.parse_losses(terms)[0]
    if not (isinstance(total, Tensor) and total.requires_grad):
        raise ValueError(
            f"passes='sequential' differentiates every pass of the student, but {sorted(terms)} carry no gradient: "
            "drop that auxiliary head, let its make_view return None, or use passes='sum'"
        )
    return total


def _detached(terms: Terms) -> Terms:
    return {name: value.detach() for name, value in terms.items()}

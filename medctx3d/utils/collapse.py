"""Has a representation collapsed? Numbers on a set of embeddings."""

from __future__ import annotations

import torch
from torch import Tensor

MOST_ROWS = 2048  # enough for stable numbers, few enough for the singular values of every check


def positions_as_rows(features: Tensor) -> Tensor:
    """Features (N, C, X, Y, Z) as a row for every position of every volume, (N * X * Y * Z, C)."""
    return features.movedim(1, -1).flatten(0, -2)


@torch.no_grad()
def collapse_indicators(embeddings: Tensor) -> dict[str, float]:
    """Judge the spread of embeddings.

    Args:
        embeddings: (M, C) rows, two or more; above 2048 rows, evenly spaced ones are taken.

    Returns:
        ``spread``: standard deviation of the L2-normalised embeddings, times the root of C: about 1 for directions
        spread evenly over the sphere, 0 where all point the same way. ``cosine``: mean cosine between different rows,
        0 spread, 1 collapsed. ``effective_rank``: exponential of the entropy of the normalised singular values of the
        centred rows (Roy and Vetterli, EUSIPCO 2007), from 1 to min(M, C). ``dead``: share of channels that are
        constant over all rows.

    Raises:
        ValueError: Not two rows.
    """
    if embeddings.ndim != 2 or len(embeddings) < 2:
        raise ValueError(f'collapse_indicators needs (M, C) with two rows or more, got {tuple(embeddings.shape)}')
    step = -(-len(embeddings) // MOST_ROWS)
    rows = embeddings[::step].float()
    unit = torch.nn.functional.normalize(rows, dim=1)
    count, width = unit.shape
    between = (unit.sum(dim=0).square().sum() - unit.square().sum()) / (count * (count - 1))
    centred = rows - rows.mean(dim=0)
    singular = torch.linalg.svdvals(centred)
    share = singular / singular.sum().clamp_min(torch.finfo(torch.float32).tiny)
    entropy = -(share * share.clamp_min(torch.finfo(torch.float32).tiny).log()).sum()
    scale = rows.abs().amax().clamp_min(torch.finfo(torch.float32).tiny)
    return {
        'spread': float(unit.std(dim=0).mean() * width**0.5),
        'cosine': float(between),
        'effective_rank': float(entropy.exp()),
        'dead': float((centred.abs().amax(dim=0) <= 1e-6 * scale).float().mean()),
    }

"""What frozen features tell about classes: a linear classifier and nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def sample_voxels(labels: Tensor, per_class: int, generator: torch.Generator) -> Tensor:
    """Draw voxels of every class.

    Args:
        labels: (X, Y, Z) class ids on the CPU.
        per_class: Most voxels of a class.
        generator: Of torch, on the CPU.

    Returns:
        (M, 3) integer indices.
    """
    chosen = []
    for identity in labels.unique():
        places = (labels == identity).nonzero()
        chosen.append(places[torch.randperm(len(places), generator=generator)[:per_class]])
    return torch.cat(chosen)


def features_at(features: Sequence[Tensor], voxels: Tensor, shape: Sequence[int]) -> Tensor:
    """Features of all levels at some voxels, by the nearest position.

    Args:
        features: Each (C, x, y, z) on a grid of its own over the same volume.
        voxels: (M, 3) indices.
        shape: Voxels (X, Y, Z) of the volume.

    Returns:
        (M, sum of channels) float32.
    """
    rows = []
    for feature in features:
        scale = [n / edge for n, edge in zip(feature.shape[1:], shape, strict=True)]
        x, y, z = (((voxels.float() + 0.5) * torch.tensor(scale)).long()).to(feature.device).unbind(dim=1)
        rows.append(feature[:, x, y, z].T.float())
    return torch.cat(rows, dim=1)


def linear_probe(rows: Tensor, ids: Tensor, new_rows: Tensor, *, classes: int, penalty: float = 1e-3) -> Tensor:
    """Classes of new rows by multinomial logistic regression, the features standardised by the first rows.

    Args:
        rows: (M, C) features.
        ids: (M,) their classes.
        new_rows: (L, C).
        classes: K.
        penalty: On the squared weights.

    Returns:
        (L,) class ids.
    """
    mean, deviation = rows.mean(dim=0), rows.std(dim=0).clamp_min(1e-6)
    rows, new_rows = (rows - mean) / deviation, (new_rows - mean) / deviation
    weight = torch.zeros(rows.shape[1], classes, device=rows.device, requires_grad=True)
    bias = torch.zeros(classes, device=rows.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn='strong_wolfe')

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(rows @ weight + bias, ids) + penalty * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    with torch.no_grad():
        return (new_rows @ weight + bias).argmax(dim=1)


@torch.no_grad()
def nearest_neighbours(rows: Tensor, ids: Tensor, new_rows: Tensor, *, classes: int, neighbours: int = 20) -> Tensor:
    """Classes of new rows by a vote of the rows with the largest cosine; arguments as :func:`linear_probe`."""
    cosine = F.normalize(new_rows - rows.mean(dim=0), dim=1) @ F.normalize(rows - rows.mean(dim=0), dim=1).T
    nearest = cosine.topk(min(neighbours, len(rows)), dim=1).indices
    return F.one_hot(ids[nearest], classes).sum(dim=1).argmax(dim=1)


def mean_recall(found: Tensor, truth: Tensor) -> float:
    """Mean over the classes of ``truth`` of the share that was found: 1 / K by chance."""
    return float(torch.stack([(found[truth == i] == i).float().mean() for i in truth.unique()]).mean())

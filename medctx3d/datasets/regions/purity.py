"""How well regions respect the borders of labelled organs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def describe_regions(
    regions: np.ndarray,
    spacing: Sequence[float],
    labels: np.ndarray | None = None,
    classes: Sequence[str] = (),
) -> dict[str, Any]:
    """Count regions and, where there are labels, judge them by majority.

    Each region is taken for the class that most of its voxels have (of equals the lower id). The purity of a class is
    the share of its voxels that lie in regions taken for it, 1 where no region reaches across its border; voxels
    outside every region count as missed. Total and foreground purity are the same shares of all voxels that lie in
    regions, and of all labelled ones.

    Args:
        regions: (X, Y, Z) ids from 1, 0 where there is no region.
        spacing: Voxel edges in mm.
        labels: (X, Y, Z) class ids, 0 for background.
        classes: Names by id.

    Returns:
        ``count``, ``volume_mm3`` (smallest, median and largest region), ``covered`` (share of all voxels in regions),
        and with labels ``purity``: ``total``, ``foreground`` (None where nothing is labelled) and ``classes``, by
        name.

    Raises:
        ValueError: The shapes differ.
    """
    _, dense, sizes = np.unique(regions, return_inverse=True, return_counts=True)
    dense = dense.reshape(regions.shape)
    first = int((regions == 0).any())  # where 0 occurs, it is the first of the values found
    sizes = sizes[first:]
    millimetres = np.asarray(sizes) * float(np.prod(spacing))
    facts: dict[str, Any] = dict(
        count=len(sizes),
        volume_mm3=[round(float(value), 1) for value in np.quantile(millimetres, (0, 0.5, 1))] if len(sizes) else [],
        covered=round(float((regions > 0).mean()), 4),
    )
    if labels is None:
        return facts
    if labels.shape != regions.shape:
        raise ValueError(f'labels must have the shape of the regions {regions.shape}, got {labels.shape}')
    width = int(labels.max()) + 1
    table = np.bincount(
        dense.ravel() * width + labels.ravel().astype(np.int64), minlength=(first + len(sizes)) * width
    )
    counts = table.reshape(-1, width)
    inside = counts[first:]
    taken = inside.argmax(axis=1)
    hit = np.bincount(taken, weights=inside.max(axis=1), minlength=width)
    there = counts.sum(axis=0)
    names = [classes[index] if index < len(classes) else f'class {index}' for index in range(width)]
    labelled = int(there[1:].sum())
    facts['purity'] = dict(
        total=round(float(hit.sum() / max(inside.sum(), 1)), 4),
        foreground=round(float(hit[1:].sum() / labelled), 4) if labelled else None,
        classes={names[i]: round(float(hit[i] / there[i]), 4) for i in range(1, width) if there[i]},
    )
    return facts

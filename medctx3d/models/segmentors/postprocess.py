"""From the labels of the network to the labels that are answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medctx3d.registry import POSTPROCESSING

Step = Callable[[np.ndarray, np.ndarray], np.ndarray]


def build_steps(configs: Sequence[dict | Step] | None) -> list[Step]:
    """Build the post-processing of a model, in the order in which it runs."""
    return [POSTPROCESSING.build(step) if isinstance(step, dict) else step for step in configs or ()]


def postprocess(steps: Sequence[Step], labels: Tensor, affine: Any) -> Tensor:
    """Run the steps on labels, on whatever grid they lie.

    Args:
        steps: From :func:`build_steps`.
        labels: (1, X, Y, Z) class ids.
        affine: (4, 4) of their grid, index to world in mm.

    Returns:
        (1, X, Y, Z) in the type and on the device of ``labels``; the same tensor where there is no step.

    Raises:
        ValueError: There are steps, but no affine.
    """
    if not steps:
        return labels
    if affine is None:
        raise ValueError('model.postprocessing needs the size of a voxel: the sample has no affine (metainfo)')
    volume = labels[0].cpu().numpy()
    for step in steps:
        volume = step(volume, affine)
    return torch.from_numpy(volume)[None].to(labels)

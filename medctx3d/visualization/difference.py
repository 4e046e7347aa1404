"""Where a prediction and the truth differ, and how."""

from __future__ import annotations

import numpy as np

# Code of :func:`difference_map` to what it means and the colour it is drawn in, on grey and beside organ colours.
DIFFERENCES = {1: ('missed', '#00e5ff'), 2: ('added', '#ff2fd6'), 3: ('another class', '#fff04d')}


def difference_map(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Mark the voxels that a prediction has wrong.

    Args:
        truth: (X, Y, Z) class ids, 0 = background.
        prediction: (X, Y, Z) class ids.

    Returns:
        (X, Y, Z) uint8: 0 = right, 1 = foreground taken for background, 2 = background taken for foreground,
        3 = one foreground class taken for another.

    Raises:
        ValueError: The shapes differ.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f'truth and prediction must share a shape, got {truth.shape} and {prediction.shape}')
    wrong = truth != prediction
    return np.where(wrong & (prediction == 0), 1, np.where(wrong & (truth == 0), 2, 3 * wrong)).astype(np.uint8)

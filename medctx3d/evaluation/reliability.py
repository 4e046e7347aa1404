"""Calibration and uncertainty of class probabilities: does a network know how sure it may be?

Only sums are kept, so a volume of any size can be judged a slab at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

BINS = 15
FLOOR = 1e-6  # a stored probability of 0 would make the log likelihood infinite
RELIABILITY_TEXT = (
    f'ece: absolute difference of accuracy and mean confidence, confidence being the largest probability, in {BINS} '
    f'equal bins of confidence, averaged by their voxels (Guo 2017). brier: squared distance of the probabilities '
    f'from the truth, summed over classes (0 to 2), averaged over voxels. nll: minus the natural logarithm of the '
    f"true class's probability, held above {FLOOR:g}, averaged over voxels. entropy: of the probabilities in nats, "
    f'averaged over voxels. Each over all voxels, and over the foreground: what truth or prediction give to a class '
    f'other than the background. entropy_of_classes: over the voxels of each true class.'
)
_PARTS = ('all', 'foreground')
_SUM_TOLERANCE = 0.02  # probabilities are stored in few bits, and rounded one by one


class Reliability:
    """Sums over voxels, from which calibration and uncertainty follow.

    Args:
        classes: K, the background included.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.sums = {part: dict.fromkeys(('voxels', 'brier', 'nll', 'entropy'), 0.0) for part in _PARTS}
        # Bin of confidence by (voxels, sum of confidence, voxels that are right)
        self.bins = {part: np.zeros((BINS, 3)) for part in _PARTS}
        self.class_voxels = np.zeros(classes)
        self.class_entropy = np.zeros(classes)

    def add(self, probabilities: np.ndarray, labels: np.ndarray) -> None:
        """Count voxels in.

        Args:
            probabilities: (..., K), each from 0 to 1 and their sum 1 up to rounding.
            labels: (...) true class ids, 0 to K - 1.

        Raises:
            ValueError: The shapes do not agree, these are no probabilities, or an id is out of range.
        """
        values = np.asarray(probabilities, dtype=np.float32).reshape(-1, probabilities.shape[-1])
        truth = np.asarray(labels).reshape(-1)
        self._check(probabilities, labels, values, truth)
        if not len(truth):
            return
        confidence, chosen = values.max(axis=1), values.argmax(axis=1)
        true_probability = values[np.arange(len(truth)), truth]
        entropy = -(values * np.log(np.maximum(values, FLOOR))).sum(axis=1)
        brier = (values**2).sum(axis=1) - 2 * true_probability + 1
        nll = -np.log(np.maximum(true_probability, FLOOR))
        right = chosen == truth
        bins = np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
        foreground = (truth > 0) | (chosen > 0)
        for part, where in (('all', slice(None)), ('foreground', foreground)):
            sums = self.sums[part]
            sums['voxels'] += len(truth[where])
            for name, each in (('brier', brier), ('nll', nll), ('entropy', entropy)):
                sums[name] += float(each[where].sum(dtype=float))
            for column, weights in enumerate((None, confidence, right)):
                weighed = None if weights is None else weights[where]
                self.bins[part][:, column] += np.bincount(bins[where], weighed, minlength=BINS)
        self.class_voxels += np.bincount(truth, minlength=self.classes)
        self.class_entropy += np.bincount(truth, entropy, minlength=self.classes)

    def merge(self, other: Reliability) -> None:
        """Count in all voxels of another.

        Raises:
            ValueError: It has another number of classes.
        """
        if other.classes != self.classes:
            raise ValueError(f'both must have {self.classes} classes, the other has {other.classes}')
        for part in _PARTS:
            for name, value in other.sums[part].items():
                self.sums[part][name] += value
            self.bins[part] += other.bins[part]
        self.class_voxels += other.class_voxels
        self.class_entropy += other.class_entropy

    def scores(self) -> dict[str, Any]:
        """Means over the voxels: ``all``, ``foreground`` and ``entropy_of_classes``, NaN where there are none."""
        found: dict[str, Any] = {}
        for part in _PARTS:
            voxels = self.sums[part]['voxels']
            confidence, right = self.bins[part].T[1:]
            means = {name: value / voxels if voxels else np.nan for name, value in self.sums[part].items()}
            means.update(
                ece=float(np.abs(right - confidence).sum() / voxels) if voxels else np.nan, voxels=int(voxels)
            )
            found[part] = means
        with np.errstate(invalid='ignore'):
            found['entropy_of_classes'] = (self.class_entropy / self.class_voxels).tolist()
        return found

    def diagram(self, part: str = 'all') -> list[dict[str, float]]:
        """The bins of a reliability diagram: from, voxels, mean confidence and accuracy, NaN where it is empty.

        Args:
            part: ``all`` or ``foreground``.
        """
        rows = []
        for number, (voxels, confidence, right) in enumerate(self.bins[part].tolist()):
            filled = voxels > 0
            rows.append(
                {
                    'from': number / BINS,
                    'voxels': voxels,
                    'confidence': confidence / voxels if filled else np.nan,
                    'accuracy': right / voxels if filled else np.nan,
                }
            )
        return rows

    def _check(self, probabilities: np.ndarray, labels: np.ndarray, values: np.ndarray, truth: np.ndarray) -> None:
        if probabilities.shape[:-1] != labels.shape or values.shape[1] != self.classes:
            raise ValueError(
                f'probabilities must be (..., {self.classes}) with a label each, got {probabilities.shape} and labels '
                f'{labels.shape}'
            )
        if not len(truth):
            return
        total = values.sum(axis=1)
        if not (values.min() >= 0 and np.abs(total - 1).max() <= _SUM_TOLERANCE):
            raise ValueError(
                f'probabilities must be 0 or more and sum to 1 in every voxel, got values from {values.min():.3g} and '
                f'sums from {total.min():.3g} to {total.max():.3g}: save them after the softmax'
            )
        if truth.min() < 0 or truth.max() >= self.classes:
            raise ValueError(
                f'labels must be 0 to {self.classes - 1}, got {truth.min()} to {truth.max()}: map the others first'
            )

"""Where the classes of a volume lie, so that a crop never has to look for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

Balance = Literal['class', 'voxel']


class ForegroundIndex:
    """Voxel positions by class.

    Args:
        voxels: (n,) flat positions in a C-ordered (X, Y, Z) volume, sorted by class.
        classes: Class ids that occur, ascending, background left out.
        stops: Position in ``voxels`` just after each class's last entry.
        counts: Voxels of each class in the volume; more than are listed where the list is a sample.
        shape: Voxels (X, Y, Z) of the volume.
    """

    def __init__(
        self,
        voxels: np.ndarray,
        classes: Sequence[int],
        *,
        stops: Sequence[int],
        counts: Sequence[int],
        shape: Sequence[int],
    ) -> None:
        self.voxels = voxels
        self.classes = list(classes)
        self.stops = list(stops)
        self.counts = list(counts)
        self.shape = (int(shape[0]), int(shape[1]), int(shape[2]))

    @classmethod
    def from_label(cls, label: np.ndarray, *, per_class: int, seed: int = 0) -> ForegroundIndex:
        """List the foreground of a label map.

        Args:
            label: (1, X, Y, Z) integer class ids, 0 being background.
            per_class: Most voxels kept per class; a larger class is sampled without replacement.
            seed: Of that sampling.
        """
        flat = np.ascontiguousarray(label).reshape(-1)
        foreground = np.flatnonzero(flat > 0)
        values = flat[foreground]
        order = np.argsort(values, kind='stable')
        foreground = foreground[order]
        classes, counts = np.unique(values, return_counts=True)
        rng = np.random.RandomState(seed)
        kept = []
        for part in np.split(foreground, np.cumsum(counts)[:-1]) if len(classes) else []:
            if len(part) > per_class:
                part = np.sort(rng.choice(part, per_class, replace=False))
            kept.append(part)
        stops = np.cumsum([len(part) for part in kept]).tolist()
        position_type = np.uint32 if flat.size < 2**32 else np.int64
        voxels = np.concatenate(kept) if kept else np.empty(0)
        return cls(
            voxels.astype(position_type),
            classes.tolist(),
            stops=stops,
            counts=counts.tolist(),
            shape=label.shape[1:],
        )

    def __len__(self) -> int:
        """Number of foreground classes that occur."""
        return len(self.classes)

    def draw(self, rng: np.random.RandomState, *, balance: Balance = 'class') -> tuple[int, int, int]:
        """A random foreground voxel.

        Args:
            rng: Source of randomness.
            balance: ``'class'``: every class that occurs is equally likely; ``'voxel'``: every voxel is.

        Raises:
            ValueError: The volume has no foreground.
        """
        if not self.classes:
            raise ValueError('no class occurs in this volume: test len(index) before drawing')
        if balance == 'class':
            drawn = rng.randint(len(self.classes))
        else:
            drawn = int(np.searchsorted(np.cumsum(self.counts), rng.randint(sum(self.counts)), side='right'))
        start = self.stops[drawn - 1] if drawn else 0
        voxel = int(self.voxels[rng.randint(start, self.stops[drawn])])
        x, y, z = np.unravel_index(voxel, self.shape)
        return int(x), int(y), int(z)

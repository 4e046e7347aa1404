"""Voxel maps that share one grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement


class VolumeData(BaseDataElement):
    """Voxel maps that share one grid.

    Every data field is a tensor or array of shape (C, X, Y, Z) in RAS+ order, all with the same (X, Y, Z). The meta
    field ``affine``, shape (4, 4), maps voxel indices to world coordinates in mm.

    Example:
        >>> VolumeData(data=torch.zeros(1, 4, 5, 6), metainfo=dict(affine=np.eye(4))).shape
        (4, 5, 6)

    Raises:
        ValueError: A field is not (C, X, Y, Z), or differs from the fields already there.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ('_metainfo_fields', '_data_fields') or name in getattr(self, '_metainfo_fields', ()):
            super().__setattr__(name, value)
            return
        if not isinstance(value, (torch.Tensor, np.ndarray)):
            raise TypeError(f'VolumeData.{name} must be a tensor or an array, got {type(value).__name__}')
        if value.ndim != 4:
            raise ValueError(f'VolumeData.{name} must have shape (C, X, Y, Z), got {tuple(value.shape)}')
        others = [key for key in self.keys() if key != name]
        if others and tuple(value.shape[1:]) != self.shape:
            raise ValueError(
                f'VolumeData.{name} has voxels {tuple(value.shape[1:])}, the other fields have {self.shape}'
            )
        super().__setattr__(name, value)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels (X, Y, Z); (0, 0, 0) while empty."""
        for value in self.values():
            x, y, z = value.shape[1:]
            return int(x), int(y), int(z)
        return 0, 0, 0

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel edge lengths in mm, from the affine's columns.

        Raises:
            AttributeError: The maps carry no ``affine``.
        """
        x, y, z = np.linalg.norm(np.asarray(self.affine, dtype=float)[:3, :3], axis=0)
        return float(x), float(y), float(z)

"""What becomes of a volume's scores as they are finished: files of probabilities and of uncertainty."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from torch import Tensor

from medctx3d.typing import Planes, PlaneSink
from medctx3d.utils.atomic import atomic_path

_FULL = np.iinfo(np.uint16).max  # what the largest value is stored as: NIfTI has no type of half precision
_OFFSET = 352  # bytes before the voxels of a NIfTI-1 file without extensions


class MapFile(ABC):
    """A NIfTI file of numbers from 0 to a maximum in 16 bits, written plane by plane.

    The voxels lie on disk, so that memory holds a few planes; slope and intercept make readers see the numbers.

    Args:
        path: File to write, ``.nii``: the planes of a compressed file could not be written out of order.
        affine: (4, 4) voxel index to world in mm.
        shape: Voxels (X, Y, Z).
    """

    def __init__(self, path: Path, affine: np.ndarray, shape: Sequence[int]) -> None:
        self.path = path
        self.affine = affine
        self.shape = tuple(shape)
        self._voxels: np.memmap | None = None

    @abstractmethod
    def values(self, scores: Tensor) -> tuple[Tensor, float]:
        """Values (M, X, Y, Z) of scores (K, X, Y, Z), and the largest that they can be."""

    def write(self, planes: Planes) -> None:
        """Write the values of some planes."""
        values, maximum = self.values(planes.scores.float())
        if self._voxels is None:
            self._voxels = self._create(len(values), maximum)
        place: list[Any] = [slice(None)] * 4
        place[planes.axis] = slice(planes.start, planes.start + values.shape[planes.axis + 1])
        stored = (values * (_FULL / maximum)).round_().clamp_(0, _FULL)
        self._voxels[tuple(place)] = stored.movedim(0, 3).cpu().numpy().astype(np.uint16)

    def close(self) -> None:
        """Hand the voxels to the disk."""
        if self._voxels is not None:
            self._voxels.flush()
            self._voxels = None

    def _create(self, count: int, maximum: float) -> np.memmap:
        header = nib.Nifti1Header()
        header.set_data_shape((*self.shape, count) if count > 1 else self.shape)
        header.set_data_dtype(np.uint16)
        header.set_sform(self.affine, code='scanner')
        header.set_qform(self.affine, code='scanner', strip_shears=True)
        header.set_xyzt_units('mm')
        header['vox_offset'], header['scl_slope'], header['scl_inter'] = _OFFSET, maximum / _FULL, 0
        self.path.write_bytes(header.binaryblock.ljust(_OFFSET, b'\0'))
        return np.memmap(self.path, np.uint16, 'r+', _OFFSET, (*self.shape, count), order='F')


class ProbabilityFile(MapFile):
    """The probability of every class, (X, Y, Z, K)."""

    def values(self, scores: Tensor) -> tuple[Tensor, float]:
        """Softmax over the classes."""
        return scores.softmax(dim=0), 1.0


class EntropyFile(MapFile):
    """The entropy of the class probabilities in nats, (X, Y, Z): 0 where the prediction is certain, up to log K.

    With mirrors or several networks it is that of their mean, so it also tells where they disagree.
    """

    def values(self, scores: Tensor) -> tuple[Tensor, float]:
        """Sum of -p log p over the classes."""
        logarithm = scores.log_softmax(dim=0)
        return -(logarithm.exp() * logarithm).sum(dim=0, keepdim=True), math.log(max(2, len(scores)))


@contextmanager
def map_files(
    files: dict[type[MapFile], str | os.PathLike[str] | None], affine: np.ndarray, shape: Sequence[int]
) -> Iterator[list[PlaneSink]]:
    """Files that appear whole, or not at all, once the block ends.

    Args:
        files: Path by kind of file; None leaves a kind out.
        affine: (4, 4) of the grid that scores come on.
        shape: Its voxels.

    Yields:
        A sink for each.

    Raises:
        ValueError: A path does not end with ``.nii``.
        OSError: A file cannot be written.
    """
    with ExitStack() as stack:
        sinks: list[PlaneSink] = []
        for kind, path in files.items():
            if path is None:
                continue
            if not str(path).endswith('.nii'):
                raise ValueError(f'{path}: maps are written plane by plane, which .nii.gz cannot be: name it .nii')
            sink = kind(stack.enter_context(atomic_path(path)), affine, shape)
            stack.callback(sink.close)
            sinks.append(sink)
        yield sinks

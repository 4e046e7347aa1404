"""Random crops that find the foreground without looking for it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from mmengine.logging import print_log
from monai.transforms import RandomizableTransform
from torch.utils.data import get_worker_info

from medctx3d.datasets.checks import few
from medctx3d.datasets.foreground_index import Balance, ForegroundIndex
from medctx3d.registry import TRANSFORMS

BACKGROUND_TRIES = 100


@TRANSFORMS.register_module()
class ForegroundCrop(RandomizableTransform):
    """Cut one random crop around a voxel of the foreground or of the background.

    Only the crop is read from arrays that are memory maps. Crops stay inside the volume; along axes where the volume
    is smaller than the crop, it is padded on both sides, the label with background. Volumes without label, or without
    foreground, are cropped anywhere.

    Args:
        size: Voxels (X, Y, Z) of the crop.
        pos: Weight of crops around foreground.
        neg: Weight of crops around background.
        balance: ``'class'``: every class of the volume is equally often the centre; ``'voxel'``: every foreground
            voxel is.
        pad_value: Intensity of padding; None takes each channel's minimum in the crop.
        small: What to do about volumes smaller than the crop: ``'pad'`` them, or ``'refuse'`` them.
        foreground_per_class: Most voxels listed per class where the sample brings no index and it is made here.

    Raises:
        ValueError: An argument is outside its range.
    """

    def __init__(
        self,
        size: Sequence[int],
        *,
        pos: float = 1.0,
        neg: float = 1.0,
        balance: Balance = 'class',
        pad_value: float | None = None,
        small: Literal['pad', 'refuse'] = 'pad',
        foreground_per_class: int = 20000,
    ) -> None:
        super().__init__()
        if len(size) != 3 or any(int(edge) != edge or edge < 1 for edge in size):
            raise ValueError(f'size must be three positive voxel counts (X, Y, Z), got {size!r}')
        if pos < 0 or neg < 0 or pos + neg == 0:
            raise ValueError(f'pos and neg must not be negative and not both 0, got pos={pos}, neg={neg}')
        if balance not in ('class', 'voxel'):
            raise ValueError(f"balance must be 'class' or 'voxel', got {balance!r}")
        if small not in ('pad', 'refuse'):
            raise ValueError(f"small must be 'pad' or 'refuse', got {small!r}")
        self.size = tuple(int(edge) for edge in size)
        self.small = small
        self.positive = pos / (pos + neg)
        self.balance = balance
        self.pad_value = pad_value
        self.foreground_per_class = foreground_per_class
        self.start: tuple[int, ...] = (0, 0, 0)
        self._padding_said = False

    def randomize(self, data: dict[str, Any]) -> None:
        """Draw ``start``, the crop's lowest corner in voxels; negative where the volume is padded."""
        shape = data['image'].shape[1:]
        centre = self._centre(data, shape)
        self.start = tuple(
            min(max(c - edge // 2, 0), n - edge) if n >= edge else -((edge - n) // 2)
            for c, n, edge in zip(centre, shape, self.size, strict=True)
        )

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        """Crop ``image``, ``label`` and ``regions``.

        Args:
            data: ``image`` (C, X, Y, Z), ``label`` and ``regions`` (1, X, Y, Z) as far as there are, all of them
                arrays, memory maps or tensors; ``foreground`` index if there is one; ``affine`` (4, 4) in mm.

        Returns:
            The same with ``image`` a float32 tensor (C, *size), ``label`` and ``regions`` integer tensors (1, *size),
            0 where padded, ``affine`` moved to the crop's corner, and without ``foreground``.
        """
        shapes = {data.get('case', ''): data['image'].shape[1:]}
        self.check_volumes(shapes)
        self.note_padding(shapes)
        self.randomize(data)
        cropped = {key: value for key, value in data.items() if key != 'foreground'}
        image = _as_tensor(self._cut(data['image'])).to(torch.float32)
        cropped['image'] = self._pad(image, data['image'].shape[1:], self.pad_value)
        for key in ('label', 'regions'):
            if key in data:
                cropped[key] = self._pad(_as_tensor(self._cut(data[key])), data[key].shape[1:], 0)
        if 'affine' in data:
            affine = np.array(data['affine'], dtype=np.float64)
            affine[:3, 3] += affine[:3, :3] @ np.asarray(self.start)
            cropped['affine'] = affine
        return cropped

    def check_volumes(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Refuse volumes that are smaller than the crop, if they are not to be padded.

        Args:
            shapes: Voxels (X, Y, Z) by case.

        Raises:
            ValueError: Up to five of them with their voxels, and the largest crop that fits into all.
        """
        if self.small == 'refuse' and (told := self._smaller(shapes)):
            raise ValueError(
                f'volumes must not be smaller than the crop of {self.size} voxels, {told}: set size of ForegroundCrop '
                "(patch_size in the configs of this package), or allow padding with small='pad'"
            )

    def note_padding(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Say once which volumes are smaller than the crop, and what would fit.

        Args:
            shapes: Voxels (X, Y, Z) by case.
        """
        if self._padding_said or not (told := self._smaller(shapes)):
            return
        self._padding_said = True
        worker = get_worker_info()
        if worker is None or worker.id == 0:
            print_log(
                f'volumes smaller than the crop of {self.size} voxels are padded (said once), {told}',
                logger='current',
                level=logging.WARNING,
            )

    def _smaller(self, shapes: Mapping[str, Sequence[int]]) -> str:
        """Volumes smaller than the crop, in words; empty if there are none."""
        tight = [
            f'{case} {tuple(shape)}'
            for case, shape in shapes.items()
            if any(n < edge for n, edge in zip(shape, self.size, strict=True))
        ]
        fits = tuple(min(sides) for sides in zip(*shapes.values(), strict=True))
        told = f'{len(tight)} of {len(shapes)} are: {few(tight)}. Crops of up to {fits} fit into all'
        return told if tight else ''

    def _centre(self, data: dict[str, Any], shape: Sequence[int]) -> tuple[int, ...]:
        index = data.get('foreground')
        if index is None and 'label' in data:
            index = ForegroundIndex.from_label(np.asarray(data['label']), per_class=self.foreground_per_class)
        if index is None or len(index) == 0:
            return self._anywhere(shape)
        if self.R.random_sample() < self.positive:
            return index.draw(self.R, balance=self.balance)
        for _ in range(BACKGROUND_TRIES):
            centre = self._anywhere(shape)
            if data['label'][(0, *centre)] == 0:
                break
        return centre  # a volume that is all foreground gets any centre

    def _anywhere(self, shape: Sequence[int]) -> tuple[int, ...]:
        return tuple(int(self.R.randint(n)) for n in shape)

    def _cut(self, array: Any) -> Any:
        ranges = (
            slice(max(start, 0), min(start + edge, n))
            for start, edge, n in zip(self.start, self.size, array.shape[1:], strict=True)
        )
        return array[(slice(None), *ranges)]

    def _pad(self, crop: torch.Tensor, shape: Sequence[int], value: float | None) -> torch.Tensor:
        if tuple(crop.shape[1:]) == self.size:
            return crop
        fill = crop.amin(dim=(1, 2, 3), keepdim=True) if value is None else torch.full((1, 1, 1, 1), value)
        padded = fill.to(crop.dtype).expand(crop.shape[0], *self.size).clone()
        inside = (
            slice(max(-start, 0), max(-start, 0) + n) for start, n in zip(self.start, crop.shape[1:], strict=True)
        )
        padded[(slice(None), *inside)] = crop
        return padded


def _as_tensor(part: Any) -> torch.Tensor:
    """A tensor of its own memory: what follows may write into it, the volume must not notice."""
    if isinstance(part, torch.Tensor):
        return torch.Tensor.clone(part.as_subclass(torch.Tensor), memory_format=torch.contiguous_format)
    return torch.from_numpy(np.array(part))

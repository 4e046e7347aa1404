"""The border between the data set and the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from monai.transforms import Transform

from medctx3d.registry import TRANSFORMS
from medctx3d.structures import VolumeData, VolumeDataSample

META_KEYS = ('case', 'draw', 'image_path', 'label_path', 'affine', 'source_affine', 'source_shape', 'source_range')


@TRANSFORMS.register_module()
class PackVolume(Transform):
    """Turn a sample into what the model takes; the last transform of every ``pipeline``.

    Tensors come out plain: MONAI's MetaTensor would carry its history of operations to the model.
    """

    def __call__(self, data: dict[str, Any]) -> dict[str, Any]:
        """Pack one sample.

        Args:
            data: ``image`` (C, X, Y, Z), ``label`` and ``regions`` (1, X, Y, Z) as far as there are: arrays, memory
                maps or tensors; and the meta information named in ``META_KEYS``.

        Returns:
            ``inputs``: float32 tensor (C, X, Y, Z). ``data_samples``: a ``VolumeDataSample`` with the meta
            information, with ``gt_sem_seg`` (int64) if there is a label and ``gt_regions`` (int32) if there is a
            region map.

        Raises:
            ValueError: ``image`` has not four axes, the label's or the region map's voxels differ from the image's,
                or region ids were interpolated.
        """
        inputs = _plain(data['image'], torch.float32)
        if inputs.ndim != 4:
            raise ValueError(f'image must be (C, X, Y, Z) when it is packed, got {tuple(inputs.shape)}')
        meta = {key: data[key] for key in META_KEYS if key in data}
        sample = VolumeDataSample(metainfo=meta)
        grid = dict(affine=meta.get('affine'))
        if 'label' in data:
            label = _same_voxels(_plain(data['label'], torch.int64), inputs, 'label')
            sample.gt_sem_seg = VolumeData(data=label, metainfo=grid)
        if 'regions' in data:
            regions = _same_voxels(_plain(data['regions'], torch.int32), inputs, 'regions')
            if not torch.equal(regions.double(), _plain(data['regions'], torch.float64)):
                raise ValueError(
                    'regions hold fractions when they are packed: a transform interpolated the ids; give it '
                    "mode='nearest' for the key 'regions'"
                )
            sample.gt_regions = VolumeData(data=regions, metainfo=grid)
        return dict(inputs=inputs, data_samples=sample)


def _same_voxels(ids: torch.Tensor, inputs: torch.Tensor, key: str) -> torch.Tensor:
    if ids.shape[1:] != inputs.shape[1:] or len(ids) != 1:
        raise ValueError(
            f'{key} must be (1, X, Y, Z) with the voxels of the image {tuple(inputs.shape[1:])} when it is packed, '
            f"got {tuple(ids.shape)}: give every spatial transform keys=['image', '{key}']"
        )
    return ids


def _plain(value: Any, dtype: torch.dtype) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value.as_subclass(torch.Tensor).to(dtype).contiguous()
    return torch.from_numpy(np.array(value)).to(dtype)

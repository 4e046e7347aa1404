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
            data: ``image`` (C, X, Y, Z), ``label`` (1, X, Y, Z) if there is one: arrays, memory maps or tensors; and
                the meta information named in ``META_KEYS``.

        Returns:
            ``inputs``: float32 tensor (C, X, Y, Z). ``data_samples``: a ``VolumeDataSample`` with the meta
            information, and with ``gt_sem_seg`` (int64) if there is a label.

        Raises:
            ValueError: ``image`` has not four axes, or the label's voxels differ from the image's.
        """
        inputs = _plain(data['image'], torch.float32)
        if inputs.ndim != 4:
            raise ValueError(f'image must be (C, X, Y, Z) when it is packed, got {tuple(inputs.shape)}')
        meta = {key: data[key] for key in META_KEYS if key in data}
        sample = VolumeDataSample(metainfo=meta)
        if 'label' in data:
            label = _plain(data['label'], torch.int64)
            if label.shape[1:] != inputs.shape[1:] or len(label) != 1:
                raise ValueError(
                    f'label must be (1, X, Y, Z) with the voxels of the image {tuple(inputs.shape[1:])} when it is '
                    f"packed, got {tuple(label.shape)}: give every spatial transform keys=['image', 'label']"
                )
            sample.gt_sem_seg = VolumeData(data=label, metainfo=dict(affine=meta.get('affine')))
        return dict(inputs=inputs, data_samples=sample)


def _plain(value: Any, dtype: torch.dtype) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value.as_subclass(torch.Tensor).to(dtype).contiguous()
    return torch.from_numpy(np.array(value)).to(dtype)

"""Read one case from its files: the first transform of every load pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Transform
from monai.utils import SpaceKeys

from medctx3d.datasets.checks import check_finite, check_headers, class_ids, image_paths
from medctx3d.registry import TRANSFORMS
from medctx3d.utils.volume_file import read_volume

_TENSOR_INTEGERS = (np.uint8, np.int8, np.int16, np.int32)  # that torch computes with


@TRANSFORMS.register_module()
class LoadVolume(Transform):
    """Read a record's image and label and check every voxel.

    Voxels keep the file's orientation; the affine goes with them, so that MONAI's ``Orientationd`` and ``Spacingd``
    can follow. Image intensities are the file's, slope and intercept applied.

    Required keys: ``case``, ``image`` (path, or one path per channel); ``label`` (path or None) may be missing.

    Changed and added keys:

    - ``image``: MetaTensor (C, X, Y, Z) float32.
    - ``label``: MetaTensor (1, X, Y, Z) uint8, or int16 for more than 256 classes; removed where there is none.
    - ``image_path``, ``label_path``: what ``image`` and ``label`` were.
    - ``source_affine``: (4, 4) float64, voxel of the file to RAS+ world in mm; ``source_shape``: its (X, Y, Z);
      ``source_range``: lowest and highest intensity of all channels.

    Args:
        metainfo: The data set's ``classes``, ``channels`` and ``label_map``; the data set passes its own.
        keep_integers: Leave an image of integers in the file's type, which is for a reader that wants float32 later.

    Raises:
        ValueError: ``label_map`` leads outside ``classes``; or, when called, a volume is unusable
            (:class:`~medctx3d.utils.volume_file.VolumeError`).
    """

    def __init__(self, metainfo: Mapping[str, Any], *, keep_integers: bool = False) -> None:
        classes = metainfo.get('classes') or ()
        outside = {key: value for key, value in (metainfo.get('label_map') or {}).items() if value >= len(classes)}
        if classes and outside:
            raise ValueError(
                f'metainfo.label_map must lead to class ids 0 to {len(classes) - 1}, it has {outside}. '
                f'Correct it, or add names to metainfo.classes.'
            )
        self.metainfo = metainfo
        self.keep_integers = keep_integers

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace paths by voxels; the given dict stays as it is."""
        check_headers(results, self.metainfo)
        loaded = dict(results)
        paths = image_paths(results)
        image, affine = _read_image(paths, keep_integers=self.keep_integers)
        label_path = loaded.pop('label', None)
        loaded.update(
            image=_meta_tensor(image, affine),
            image_path=results['image'],
            label_path=label_path,
            source_affine=affine,
            source_shape=tuple(int(n) for n in image.shape[1:]),
            source_range=(float(image.min()), float(image.max())),
        )
        if label_path:
            ids = class_ids(read_volume(label_path)[0], str(label_path), self.metainfo)
            # The image's affine: the two agree within tolerance, and one grid must stay one grid downstream.
            loaded['label'] = _meta_tensor(ids[None], affine)
        return loaded

    def __repr__(self) -> str:
        return f'{type(self).__name__}(classes={len(self.metainfo.get("classes") or ())})'


def _read_image(paths: list[str], *, keep_integers: bool) -> tuple[np.ndarray, np.ndarray]:
    """Channels (C, X, Y, Z) of one file or several, float32 unless integers are kept, and the first file's affine."""
    channels, affines = [], []
    for path in paths:
        stored, affine = read_volume(path)
        kept = keep_integers and stored.dtype in _TENSOR_INTEGERS
        with np.errstate(over='ignore'):  # beyond float32 becomes infinite, and that is refused with the file's name
            voxels = stored.astype(stored.dtype if kept else np.float32, order='K', copy=not kept)
        if stored.dtype.kind == 'f':
            check_finite(voxels, path)
        channels.append(voxels[None] if voxels.ndim == 3 else np.moveaxis(voxels, 3, 0))
        affines.append(affine)
    return (channels[0] if len(channels) == 1 else np.concatenate(channels)), affines[0]


def _meta_tensor(voxels: np.ndarray, affine: np.ndarray) -> MetaTensor:
    """MetaTensor with the meta keys that MONAI's spatial transforms read.

    ``filename_or_obj`` is left out on purpose: with it ``Spacingd`` takes every key that starts with ``image_`` for a
    dictionary of meta data. The file's memory order (first axis fastest) is kept: turning it costs as much as reading.
    """
    meta = {
        'spatial_shape': np.asarray(voxels.shape[1:]),
        'original_affine': affine.copy(),
        'space': SpaceKeys.RAS,
        'original_channel_dim': 0,
    }
    return MetaTensor(torch.from_numpy(voxels), affine=torch.as_tensor(affine), meta=meta)

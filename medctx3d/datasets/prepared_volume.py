"""One prepared case on disk: arrays that are read through a memory map, and what is known about them."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medctx3d.datasets.foreground_index import ForegroundIndex
from medctx3d.datasets.regions.region_map import load_regions

META_FILE = 'meta.json'
IMAGE_TYPES = ('float16', 'float32', 'int16')


class PreparationError(ValueError):
    """A volume cannot be prepared as the config asks."""


def as_sample(loaded: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """What transforms get to see of a case, from what ``load_pipeline`` gave.

    Args:
        loaded: With ``image`` (C, X, Y, Z) and, if the case is labelled, ``label`` (1, X, Y, Z); both MetaTensors.
        record: The case's entry in the data list; its region map is read here, onto the grid that ``load_pipeline``
            gave the image, so that no transform of it needs to know of regions.

    Returns:
        Plain tensors ``image``, ``label`` and ``regions`` (1, X, Y, Z) int32 where the record has them; ``affine``
        (4, 4) of the working grid, ``source_affine`` (4, 4) and ``source_shape`` (3,) of the file's; ``case``,
        ``image_path``, ``label_path``; ``source_range``, the file's lowest and highest intensity, where it is known.

    Raises:
        PreparationError: ``load_pipeline`` left out what is needed.
    """
    case = record['case']
    for key in ('image', 'source_affine', 'source_shape'):
        if key not in loaded:
            raise PreparationError(
                f"case {case!r}: load_pipeline gave no {key!r}: let it start with dict(type='LoadVolume')"
            )
    if not hasattr(loaded['image'], 'affine'):
        raise PreparationError(f'case {case!r}: the image lost its affine: load_pipeline must keep MONAI MetaTensors')
    sample = dict(
        image=loaded['image'].as_tensor(),
        affine=np.asarray(loaded['image'].affine, dtype=np.float64),
        source_affine=np.asarray(loaded['source_affine'], dtype=np.float64),
        source_shape=tuple(int(size) for size in loaded['source_shape']),
        case=case,
        image_path=record['image'],
        label_path=record.get('label'),
    )
    if 'source_range' in loaded:
        sample['source_range'] = loaded['source_range']
    if not sample['image'].numel():
        raise PreparationError(f'case {case!r}: load_pipeline left no voxel: loosen its cropping')
    if 'label' in loaded:
        sample['label'] = torch.from_numpy(_integer_label(loaded['label'].as_tensor().numpy(), case))
        if sample['label'].shape[1:] != sample['image'].shape[1:]:
            raise PreparationError(
                f'case {case!r}: after load_pipeline the image has voxels {tuple(sample["image"].shape[1:])} and the '
                f"label {tuple(sample['label'].shape[1:])}: give every spatial transform keys=['image', 'label']"
            )
    if record.get('regions'):
        regions = load_regions(record, sample['affine'], sample['image'].shape[1:])
        sample['regions'] = torch.from_numpy(regions)
    return sample


def save_prepared(
    folder: Path, sample: dict[str, Any], *, image_dtype: str, foreground_per_class: int, fingerprint: dict[str, Any]
) -> None:
    """Write a case into an existing empty folder; ``meta.json`` comes last.

    Args:
        folder: Where to write.
        sample: From :func:`as_sample`.
        image_dtype: One of ``IMAGE_TYPES``.
        foreground_per_class: Most voxels listed per class.
        fingerprint: What the result depends on, kept for comparison.

    Raises:
        PreparationError: The image does not fit ``image_dtype``.
        OSError: Writing failed.
    """
    case = sample['case']
    arrays = dict(image=_checked_image(sample['image'].numpy(), image_dtype, case))
    meta = {key: value for key, value in sample.items() if key not in ('image', 'label', 'regions')}
    meta['affine'], meta['source_affine'] = sample['affine'].tolist(), sample['source_affine'].tolist()
    meta['shape'] = list(sample['image'].shape)
    if 'label' in sample:
        arrays['label'] = sample['label'].numpy()
        index = ForegroundIndex.from_label(
            arrays['label'], per_class=foreground_per_class, seed=zlib.crc32(case.encode())
        )
        arrays['foreground'] = index.voxels
        meta['foreground'] = dict(classes=index.classes, stops=index.stops, counts=index.counts)
    if 'regions' in sample:
        arrays['regions'] = sample['regions'].numpy()
    for name, array in arrays.items():
        np.save(folder / f'{name}.npy', np.ascontiguousarray(array))
    meta['bytes'] = {f'{name}.npy': (folder / f'{name}.npy').stat().st_size for name in arrays}
    meta['fingerprint'] = fingerprint
    (folder / META_FILE).write_text(json.dumps(meta, indent=1))


def read_meta(folder: Path) -> dict[str, Any] | None:
    """The case's ``meta.json``, or None unless the folder is whole (all files there, none truncated)."""
    try:
        return _whole_meta(folder)
    except OSError:
        return None


def is_whole(sample: dict[str, Any]) -> bool:
    """Whether the files behind the memory maps of a case are still as long as they were; to read past an end kills.

    Raises:
        OSError: The disk does not answer.
    """
    maps = [array for array in sample.values() if isinstance(array, np.memmap)]
    try:
        return all(os.stat(array.filename).st_size == array.offset + array.nbytes for array in maps)  # type: ignore[arg-type]
    except FileNotFoundError:
        return False


def _whole_meta(folder: Path) -> dict[str, Any] | None:
    """As :func:`read_meta`, but a disk that does not answer is an OSError."""
    try:
        meta: dict[str, Any] = json.loads((folder / META_FILE).read_text(encoding='utf-8'))
        whole = all((folder / name).stat().st_size == size for name, size in meta['bytes'].items())
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError):
        return None
    return meta if whole else None


def open_prepared(folder: Path) -> dict[str, Any]:
    """Open a case without reading its voxels.

    Returns:
        As :func:`as_sample`, ``image``, ``label`` and ``regions`` being read-only memory maps; with a label also
        ``foreground``, a :class:`ForegroundIndex`.

    Raises:
        FileNotFoundError: The folder is gone.
        OSError: The disk does not answer.
    """
    meta = _whole_meta(folder)
    if meta is None:
        raise FileNotFoundError(
            f'{folder}: the prepared volume was removed or damaged while in use; start again and it is rebuilt'
        )
    sample = dict(
        image=np.load(folder / 'image.npy', mmap_mode='r'),
        affine=np.asarray(meta['affine']),
        source_affine=np.asarray(meta['source_affine']),
        source_shape=tuple(meta['source_shape']),
        case=meta['case'],
        image_path=meta['image_path'],
        label_path=meta['label_path'],
    )
    if 'foreground' in meta:
        sample['label'] = np.load(folder / 'label.npy', mmap_mode='r')
        voxels = np.load(folder / 'foreground.npy', mmap_mode='r') if meta['foreground']['classes'] else np.empty(0)
        sample['foreground'] = ForegroundIndex(voxels, shape=meta['shape'][1:], **meta['foreground'])
    if 'regions.npy' in meta['bytes']:
        sample['regions'] = np.load(folder / 'regions.npy', mmap_mode='r')
    return sample


def _integer_label(label: np.ndarray, case: str) -> np.ndarray:
    if label.dtype.kind not in 'iu' and not np.array_equal(label, np.rint(label)):
        raise PreparationError(
            f'case {case!r}: load_pipeline interpolated the label (it holds fractions): give the spatial '
            "transform mode=('bilinear', 'nearest') for keys=('image', 'label')"
        )
    lowest, highest = (int(label.min()), int(label.max())) if label.size else (0, 0)
    return label.astype(np.uint8 if lowest >= 0 and highest <= 255 else np.int16, copy=False)


def _checked_image(image: np.ndarray, image_dtype: str, case: str) -> np.ndarray:
    lowest, highest = float(image.min()), float(image.max())
    limit = np.finfo(image_dtype) if image_dtype.startswith('float') else np.iinfo(image_dtype)
    if not (lowest >= float(limit.min) and highest <= float(limit.max)):  # so written, NaN fails too
        raise PreparationError(
            f'case {case!r}: image values from {lowest:g} to {highest:g} do not fit image_dtype={image_dtype!r} '
            f'({limit.min:g} to {limit.max:g}): normalise in load_pipeline, or set store=dict(..., '
            "image_dtype='float32')"
        )
    stored = image.astype(image_dtype)
    if image_dtype == 'int16' and not np.array_equal(stored, image):
        raise PreparationError(
            f"case {case!r}: image values are not whole numbers, which image_dtype='int16' needs: set "
            "store=dict(..., image_dtype='float16')"
        )
    return stored

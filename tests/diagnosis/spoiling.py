"""Ways to spoil files, for the corruptions of this folder."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from typing import Any

import nibabel as nib
import numpy as np
from tiny_set import AFFINE, DATASET, SHAPE, Spoiler, save


def raw(offset: int, value: np.generic) -> Callable[[bytes], bytes]:
    """Overwrite bytes of the header inside a gzip stream."""

    def change(content: bytes) -> bytes:
        plain = bytearray(gzip.decompress(content))
        plain[offset : offset + value.nbytes] = value.tobytes()
        return gzip.compress(bytes(plain))

    return change


def put(index: Any, value: float, kind: type = np.float32) -> Callable[[np.ndarray], np.ndarray]:
    def change(voxels: np.ndarray) -> np.ndarray:
        voxels = voxels.astype(kind)
        voxels[index] = value
        return voxels

    return change


def sheared(cosine: float) -> np.ndarray:
    affine = AFFINE.copy()
    affine[0, 1] = 2 * cosine
    return affine


def two_channels(s: Spoiler) -> None:
    """Every image as two channel files."""
    for number in range(8):
        shutil.copy(s.path(f'image{number}'), s.path(f'second{number}'))
    s.relist(
        lambda c: [
            e.update(image=[e['image'], e['image'].replace('image', 'second')]) for es in c.values() for e in es
        ]
    )


def resampled(s: Spoiler, source: int, target: int, change: Callable[[np.ndarray], np.ndarray]) -> None:
    voxels = np.asarray(nib.load(s.path(f'image{source}')).dataobj)
    save(s.path(f'image{target}'), change(voxels))


def noisy(voxels: np.ndarray) -> np.ndarray:
    return (0.9 * voxels + 7 + np.random.default_rng(9).normal(0, 4, voxels.shape)).astype(np.int16)


def linked(s: Spoiler) -> None:
    (s.folder / 'image6.nii.gz').unlink()
    (s.folder / 'image6.nii.gz').symlink_to('image0.nii.gz')


def rename(s: Spoiler, split: str, index: int, name: str) -> None:
    """Another file name, and no subject."""
    for kind in ('image', 'label'):
        found = s.folder / f'{kind}{ ({"training": 0, "test": 6}[split] + index) }.nii.gz'
        found.rename(s.folder / f'{name}_{kind}.nii.gz')
    s.relist(lambda c: c[split].__setitem__(index, dict(image=f'{name}_image.nii.gz', label=f'{name}_label.nii.gz')))


def two_visits(s: Spoiler) -> None:
    rename(s, 'training', 0, 'sub-07_ses-1')
    rename(s, 'test', 0, 'sub-07_ses-2')


def nrrd_without_voxels(s: Spoiler) -> None:
    s.path('image1').rename(s.folder / 'x.nhdr')
    (s.folder / 'x.nhdr').write_text('NRRD0004\ntype: short\ndimension: 3\nsizes: 4 4 4\ndata file: gone.raw\n')
    s.relist(lambda c: c['training'][1].update(image='x.nhdr'))


NO_TURN = dict(load_pipeline=[DATASET['load_pipeline'][0], DATASET['load_pipeline'][2]])
UNSCALED = dict(load_pipeline=[dict(type='LoadVolume')], store=dict(type='PreparedStore', root='nowhere'))
TWO = dict(metainfo=dict(DATASET['metainfo'], channels=('T1', 'T2')))
FLIPPED = AFFINE @ np.diag([-1.0, 1, 1, 1])
FLIPPED[0, 3] = -AFFINE[0, 3]
LPS = AFFINE @ np.diag([-1.0, -1, 1, 1])
LPS[:3, 3] = AFFINE[:3, :3] @ [SHAPE[0] - 1, SHAPE[1] - 1, 0] + AFFINE[:3, 3]

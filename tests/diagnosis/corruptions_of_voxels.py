"""Corruptions of voxels, of images and of labels: what is done, which check finds it, where, with which words."""

from __future__ import annotations

import shutil

import nibabel as nib
import numpy as np
from scipy import ndimage
from spoiling import FLIPPED, LPS, UNSCALED, noisy, put, resampled
from tiny_set import save

VOXELS = {
    'truncated image': (
        lambda s: s.bytes('image1', lambda b: b[: len(b) // 2]),
        'unreadable_voxels',
        'image1.nii.gz',
        'truncated or damaged',
    ),
    'truncated label': (
        lambda s: s.bytes('label7', lambda b: b[:-9]),
        'unreadable_voxels',
        'label7.nii.gz',
        'truncated or damaged',
    ),
    'wrong checksum': (
        lambda s: s.bytes('image2', lambda b: b[:-8] + b'\0\0\0\0' + b[-4:]),
        'unreadable_voxels',
        'image2.nii.gz',
        'truncated or damaged',
    ),
    'NaN': (
        lambda s: s.voxels('image0', put((3, 4, 5), np.nan)),
        'nonfinite_image',
        'image0.nii.gz',
        'index (3, 4, 5)',
    ),
    'infinity': (
        lambda s: s.voxels('image6', put((1, 2, 3), np.inf)),
        'nonfinite_image',
        'image6.nii.gz',
        '1 are NaN or infinite',
    ),
    'beyond float32': (
        lambda s: s.voxels('image5', put((0, 0, 1), 1e200, np.float64)),
        'nonfinite_image',
        'image5.nii.gz',
        'beyond float32',
    ),
    'constant': (
        lambda s: s.voxels('image3', np.zeros_like),
        'constant_image',
        'image3.nii.gz',
        'all its voxels are 0',
    ),
    'almost constant': (
        lambda s: s.voxels('image3', lambda v: np.where(np.indices(v.shape).sum(0) < 3, v, -1000).astype(np.int16)),
        'nearly_constant_image',
        'image3.nii.gz',
        '% of its voxels are -1000',
    ),
    'outside the window': (
        lambda s: s.voxels('image4', lambda v: v + np.int16(5000)),
        'outside_window',
        'image4.nii.gz',
        'every voxel becomes the same',
    ),
    'stored with an offset': (
        lambda s: s.voxels('image4', lambda v: (v + 1200).clip(0).astype(np.int16)),
        'unlike_window',
        'image4.nii.gz',
        'nothing lies below 0',
    ),
    'rescaled for display': (
        lambda s: s.voxels('image5', lambda v: ((v.astype(float) + 1100) / 8).clip(0, 255).astype(np.uint8)),
        'unlike_window',
        'image5.nii.gz',
        'nothing lies below 0',
    ),
    'beyond the type of the store': (
        lambda s: s.voxels('image1', put((2, 2, 2), 1e5)),
        'beyond_store',
        'image1.nii.gz',
        "image_dtype='float16'",
        UNSCALED,
    ),
    'label in place of the image': (
        lambda s: shutil.copy(s.path('label1'), s.path('image1')),
        'image_like_label',
        'image1.nii.gz',
        'different whole numbers only',
    ),
    'cut off above': (
        lambda s: s.voxels('image2', lambda v: v.clip(None, 60)),
        'saturated_image',
        'image2.nii.gz',
        'cut off',
    ),
    'lost slice': (
        lambda s: s.voxels('image3', put((slice(None), slice(None), 9), 0, np.int16)),
        'blank_slices',
        'image3.nii.gz',
        'the first at index 9',
    ),
    'other intensities': (
        lambda s: s.voxels('image0', lambda v: np.where(v > -500, v * 6 + 900, v).astype(np.int16)),
        'intensity_outlier',
        'image0.nii.gz',
        'over the data set',
    ),
    'copy in another split': (
        lambda s: resampled(s, 0, 6, lambda v: v),
        'duplicate_across_splits',
        'image6.nii.gz',
        'image0.nii.gz',
    ),
    'copy of another type and orientation': (
        lambda s: save(
            s.path('image6'), np.asarray(nib.load(s.path('image0')).dataobj, dtype=np.float64)[::-1, ::-1], LPS
        ),
        'duplicate_across_splits',
        'image6.nii.gz',
        'image0.nii.gz',
    ),
    'copy in the same split': (
        lambda s: resampled(s, 0, 2, lambda v: v),
        'duplicate_in_split',
        'image2.nii.gz',
        'both are in train',
    ),
    'near copy in another split': (
        lambda s: resampled(s, 1, 5, noisy),
        'near_duplicate_across_splits',
        'image5.nii.gz',
        'image1.nii.gz',
    ),
    'near copy in the same split': (
        lambda s: resampled(s, 1, 3, noisy),
        'near_duplicate_in_split',
        'image3.nii.gz',
        'image1.nii.gz',
    ),
}
LABELS = {
    'NaN in the label': (
        lambda s: s.voxels('label0', put((3, 4, 5), np.nan)),
        'label_nonfinite',
        'label0.nii.gz',
        'must be finite',
    ),
    'interpolated label': (
        lambda s: s.voxels('label1', lambda v: ndimage.gaussian_filter(v.astype(np.float32), 1)),
        'label_fractions',
        'label1.nii.gz',
        'must be whole numbers',
    ),
    'unknown class': (
        lambda s: s.voxels('label2', lambda v: np.where(v == 2, 9, v).astype(np.uint8)),
        'label_unknown_value',
        'label2.nii.gz',
        '9 (',
    ),
    'negative value': (
        lambda s: s.voxels('label3', lambda v: v.astype(np.int16) - np.int16(1)),
        'label_unknown_value',
        'label3.nii.gz',
        '-1 (',
    ),
    'label stored as 0 and 255': (
        lambda s: s.voxels('label4', lambda v: ((v > 0) * 255).astype(np.uint8)),
        'label_unknown_value',
        'label4.nii.gz',
        '255 (',
    ),
    'image and label exchanged in the list': (
        lambda s: s.relist(lambda c: c['training'][4].update(image='label4.nii.gz', label='image4.nii.gz')),
        'label_unknown_value',
        'image4.nii.gz',
        'image and label look exchanged',
    ),
    'image and label exchanged, the image of real numbers': (
        lambda s: [
            s.voxels('image4', lambda v: v + np.float32(0.3)),
            s.relist(lambda c: c['training'][4].update(image='label4.nii.gz', label='image4.nii.gz')),
        ],
        'label_fractions',
        'image4.nii.gz',
        'image and label look exchanged',
    ),
    'empty label': (lambda s: s.voxels('label0', np.zeros_like), 'empty_label', 'label0.nii.gz', 'background only'),
    'class without training case': (
        lambda s: [s.voxels(f'label{n}', lambda v: np.where(v == 2, 0, v).astype(np.uint8)) for n in range(5)],
        'class_not_learnt',
        'dataset.json',
        'class spleen',
    ),
    'class without test case': (
        lambda s: [s.voxels(f'label{n}', lambda v: np.where(v == 1, 0, v).astype(np.uint8)) for n in (6, 7)],
        'class_not_scored',
        'dataset.json',
        'class liver is in no label of the test',
    ),
    'class much too small': (
        lambda s: s.voxels(
            'label3', lambda v: np.where((v == 1) & (np.indices(v.shape)[2] > 11), 0, v).astype(np.uint8)
        ),
        'class_volume_outlier',
        'label3.nii.gz',
        'class liver has',
    ),
    'stray voxels only': (
        lambda s: s.voxels(
            'label1', lambda v: np.where((v == 2) & (np.cumsum(v == 2).reshape(v.shape) > 4), 0, v).astype(np.uint8)
        ),
        'tiny_class',
        'label1.nii.gz',
        'spleen has 4 voxel(s)',
    ),
    'every second slice drawn': (
        lambda s: s.voxels('label2', lambda v: np.where(np.indices(v.shape)[2] % 2 == 1, v, 0).astype(np.uint8)),
        'interrupted_class',
        'label2.nii.gz',
        'absent in',
    ),
    'stray voxel far off': (
        lambda s: s.voxels('label6', put((1, 20, 0), 1, np.uint8)),
        'interrupted_class',
        'label6.nii.gz',
        'class liver',
    ),
    'organ brighter than the window': (
        lambda s: s.voxels(
            'image5',
            lambda v: np.where(np.asarray(nib.load(s.path('label5')).dataobj) == 2, v + 2000, v).astype(np.int16),
        ),
        'class_outside_window',
        'label5.nii.gz',
        'outside -200 to 300',
    ),
    'label on empty background': (
        lambda s: s.voxels(
            'image4',
            lambda v: np.where(
                np.asarray(nib.load(s.path('label4')).dataobj) == 2, -1000, np.where(v < -500, -1000, v)
            ).astype(np.int16),
        ),
        'class_on_background',
        'label4.nii.gz',
        'class spleen',
    ),
    'label of another case': (
        lambda s: shutil.copy(s.path('label0'), s.path('label7')),
        'identical_labels',
        'label7.nii.gz',
        'label0.nii.gz',
    ),
    'kidneys exchanged': (
        lambda s: s.voxels('label1', lambda v: np.array([0, 1, 2, 4, 3], np.uint8)[v]),
        'swapped_sides',
        'label1.nii.gz',
        'right_kidney must lie right of left_kidney',
    ),
    'mirrored affine': (lambda s: s.case(2, FLIPPED), 'swapped_sides', 'label2.nii.gz', 'to the left of it'),
    'liver on the left': (
        lambda s: s.voxels('label7', lambda v: np.array([0, 2, 1, 3, 4], np.uint8)[v]),
        'unlikely_place',
        'label7.nii.gz',
        'liver lies to the right of spleen',
    ),
}

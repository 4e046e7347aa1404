"""Corruptions of lists and headers: what is done, which check finds it, in which file, with which words."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
from spoiling import LPS, NO_TURN, TWO, linked, nrrd_without_voxels, raw, sheared, two_channels, two_visits
from tiny_set import AFFINE, entry, save

LISTS = {
    'no such list': (
        lambda s: (s.folder / 'dataset.json').unlink(),
        'unusable_list',
        'dataset.json',
        'no such data list',
    ),
    'list is no JSON': (
        lambda s: (s.folder / 'dataset.json').write_text('{"training": [}'),
        'unusable_list',
        'dataset.json',
        'must be valid JSON',
    ),
    'split misspelt': (
        lambda s: s.relist(lambda c: c.update(trainingset=c.pop('training'))),
        'unusable_list',
        'dataset.json',
        "no split 'training'",
    ),
    'entry without image': (
        lambda s: s.relist(lambda c: c['training'][0].pop('image')),
        'unusable_list',
        'dataset.json',
        'needs the key "image"',
    ),
    'empty split': (
        lambda s: s.relist(lambda c: c.update(validation=[])),
        'empty_split',
        'dataset.json',
        "'validation' is empty",
    ),
    'missing image': (lambda s: s.path('image3').unlink(), 'missing_file', 'image3.nii.gz', 'no such file'),
    'missing label': (lambda s: s.path('label6').unlink(), 'missing_file', 'label6.nii.gz', 'no such file'),
    'case twice': (
        lambda s: s.relist(lambda c: c['training'].append(entry(1))),
        'case_twice',
        'image1.nii.gz',
        'must list a case once',
    ),
    'case in two splits': (
        lambda s: s.relist(lambda c: c['test'].append(entry(0))),
        'case_in_two_splits',
        'image0.nii.gz',
        'image0 is in train',
    ),
    'case in an unused split': (
        lambda s: s.relist(lambda c: c.update(extra=[entry(2)])),
        'case_in_two_splits',
        'image2.nii.gz',
        'does not use',
    ),
    'link to a file of another split': (linked, 'file_in_two_splits', 'image6.nii.gz', 'must not share a file'),
    'patient in two splits': (
        lambda s: s.relist(lambda c: c['test'][1].update(subject='p3')),
        'patient_in_two_splits',
        'image7.nii.gz',
        'p3 is in train',
    ),
    'two visits of a patient': (two_visits, 'patient_name_in_two_splits', 'sub-07_ses-2_image.nii.gz', 'sub-07'),
    'training case without label': (
        lambda s: s.relist(lambda c: c['training'][2].pop('label')),
        'missing_label',
        'image2.nii.gz',
        'needs a label',
    ),
    'test case without label': (
        lambda s: s.relist(lambda c: c['test'][0].pop('label')),
        'missing_truth',
        'image6.nii.gz',
        'cannot score',
    ),
    'image as its own label': (
        lambda s: s.relist(lambda c: c['training'][1].update(label='image1.nii.gz')),
        'label_is_image',
        'image1.nii.gz',
        'as image and as label',
    ),
    'one label for two images': (
        lambda s: s.relist(lambda c: c['training'][1].update(label='label0.nii.gz')),
        'label_of_two_images',
        'label0.nii.gz',
        'image0 and image1',
    ),
    'no class names': (
        lambda s: None,
        'nameless_classes',
        'train_dataloader',
        'class names',
        dict(metainfo=dict(channels=('CT',))),
    ),
}
HEADERS = {
    'empty file': (
        lambda s: s.bytes('image0', lambda b: b''),
        'unreadable_header',
        'image0.nii.gz',
        'the file is empty',
    ),
    'error page': (
        lambda s: s.bytes('image1', lambda b: b'<html>not found</html>'),
        'unreadable_header',
        'image1.nii.gz',
        'must start as gzip',
    ),
    'not compressed': (
        lambda s: s.bytes('label1', gzip.decompress),
        'unreadable_header',
        'label1.nii.gz',
        'uncompressed NIfTI',
    ),
    'voxel size zero': (
        lambda s: s.bytes('image2', raw(80, np.float32(0))),
        'unreadable_header',
        'image2.nii.gz',
        'must be positive',
    ),
    'voxel size NaN': (
        lambda s: s.bytes('label2', raw(84, np.float32('nan'))),
        'unreadable_header',
        'label2.nii.gz',
        'must be positive',
    ),
    'singular affine': (
        lambda s: s.bytes('image4', raw(280, np.zeros(4, np.float32))),
        'unreadable_header',
        'image4.nii.gz',
        'invertible',
    ),
    'one slice': (
        lambda s: s.voxels('image6', lambda v: v[:, :, :1]),
        'unreadable_header',
        'image6.nii.gz',
        'at least 2 voxels',
    ),
    'complex voxels': (
        lambda s: s.voxels('image7', lambda v: v.astype(np.complex64)),
        'unreadable_header',
        'image7.nii.gz',
        'voxels must be numbers',
    ),
    'header without voxel file': (nrrd_without_voxels, 'unreadable_header', 'x.nhdr', 'has its voxels there'),
    'time series': (
        lambda s: s.voxels('image0', lambda v: np.stack([v] * 3, -1)),
        'wrong_channels',
        'image0.nii.gz',
        'it has 3',
    ),
    'channel elsewhere': (
        lambda s: (
            two_channels(s),
            save(s.path('second3'), np.asarray(nib.load(s.path('image3')).dataobj), AFFINE + np.eye(4, k=3)),
        ),
        'channels_apart',
        'second3.nii.gz',
        'the channel must lie where',
        TWO,
    ),
    'one-hot label': (
        lambda s: s.voxels('label0', lambda v: np.stack([v == k for k in range(5)], -1).astype(np.uint8)),
        'label_not_3d',
        'label0.nii.gz',
        'must be 3D',
    ),
    'label of another shape': (
        lambda s: s.voxels('label4', lambda v: v[:-2]),
        'label_apart',
        'label4.nii.gz',
        'shape of its image',
    ),
    'label with its axes in another order': (
        lambda s: s.voxels('label4', lambda v: v.transpose(2, 0, 1)),
        'label_apart',
        'label4.nii.gz',
        '(20, 24, 22): its axes are ordered otherwise',
    ),
    'label elsewhere': (
        lambda s: save(s.path('label5'), np.asarray(nib.load(s.path('label5')).dataobj), AFFINE + np.eye(4, k=3)),
        'label_apart',
        'label5.nii.gz',
        'must lie where',
    ),
    'no region map': (
        lambda s: None,
        'region_map',
        'set_regions/image0.nii.gz',
        'has no region map there',
        dict(region_maps='beside'),
    ),
    'sheared affine': (
        lambda s: s.header('image1', lambda i: i.set_sform(sheared(0.02), 1)),
        'sheared_affine',
        'image1.nii.gz',
        'right angles',
    ),
    'qform unlike sform': (
        lambda s: s.header('image3', lambda i: i.set_qform(np.diag([2.0, 2, 3, 1]), 1)),
        'forms_apart',
        'image3.nii.gz',
        'sform and qform',
    ),
    'no orientation': (
        lambda s: s.header('image2', lambda i: (i.set_sform(None, 0), i.set_qform(None, 0))),
        'unstated_orientation',
        'image2.nii.gz',
        'where left is',
    ),
    'metres': (
        lambda s: s.header('image5', lambda i: i.header.set_xyzt_units('meter')),
        'strange_unit',
        'image5.nii.gz',
        'says meter',
    ),
    'voxels of micrometres': (
        lambda s: s.case(0, np.diag([0.002, 0.002, 0.003, 1])),
        'strange_unit',
        'image0.nii.gz',
        'voxel edges',
    ),
    'label with slope': (
        lambda s: (
            s.header('label3', lambda i: i.header.set_slope_inter(1, 0)) or s.bytes('label3', raw(112, np.float32(2)))
        ),
        'scaled_label',
        'label3.nii.gz',
        'scales values by 2',
    ),
    'label of real type': (
        lambda s: s.voxels('label3', lambda v: v.astype(np.float32)),
        'real_label',
        'label3.nii.gz',
        'float32',
    ),
    'smaller than the crop': (
        lambda s: [s.voxels(f'{k}1', lambda v: v[:, 3:18, :]) for k in ('image', 'label')],
        'small_volume',
        'image1.nii.gz',
        '24 x 15 x 20',
    ),
    'other voxel size': (
        lambda s: s.case(4, np.diag([5.0, 2, 3, 1])),
        'spacing_outlier',
        'image4.nii.gz',
        'along X is 5 mm, the median is 2 mm',
    ),
    'other part of the body': (
        lambda s: [s.voxels(f'{k}2', lambda v: np.concatenate([v] * 4, 2)) for k in ('image', 'label')],
        'size_outlier',
        'image2.nii.gz',
        'along Z',
    ),
    'orientation that nothing turns': (lambda s: s.case(3, LPS), 'mixed_orientation', 'image3.nii.gz', 'LPS', NO_TURN),
    'orientation that is turned': (lambda s: s.case(3, LPS), 'turned_orientation', 'image3.nii.gz', 'LPS'),
}

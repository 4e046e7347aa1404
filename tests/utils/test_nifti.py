from __future__ import annotations

import os

import nibabel as nib
import numpy as np
import pytest

from medctx3d.utils.nifti import read_labels, write_labels


@pytest.fixture
def labels():
    volume = np.zeros((14, 12, 10), np.uint8)
    volume[2:8, 2:9, 2:7] = 1
    volume[9:12, 3:6, 3:8] = 2
    return volume


@pytest.mark.parametrize('code', [0, 1])
@pytest.mark.parametrize('kind', [nib.Nifti1Image, nib.Nifti2Image])
def test_written_labels_copy_every_bit_of_the_grid(tmp_path, labels, kind, code):
    affine = np.array([[-0.9, 0.1, 0, 17.3], [0.1, 0.9, 0.02, -3.1], [0, -0.03, 2.5, 8.7], [0, 0, 0, 1]])
    image = kind(np.zeros((*labels.shape, 2), np.float32), None)
    image.header.set_qform(affine, 1, strip_shears=True)
    image.header.set_sform(affine, 2 * code)
    image.header['descrip'] = b'scanner of a person'
    nib.save(kind(image.dataobj, None, image.header), tmp_path / 'image.nii.gz')
    source = nib.load(tmp_path / 'image.nii.gz')
    write_labels(tmp_path / 'labels.nii.gz', labels, like=tmp_path / 'image.nii.gz')
    saved = nib.load(tmp_path / 'labels.nii.gz')
    np.testing.assert_array_equal(saved.affine, source.affine)
    np.testing.assert_array_equal(saved.get_qform(), source.get_qform())
    assert int(saved.header['sform_code']) == 2 * code
    assert int(saved.header['qform_code']) == 1
    assert bytes(saved.header['descrip'].tobytes()).strip(b'\0') == b''
    np.testing.assert_array_equal(read_labels(tmp_path / 'labels.nii.gz'), labels)


def test_many_classes_are_written_as_uint16_and_others_refused(tmp_path, labels):
    image = tmp_path / 'image.nii.gz'
    nib.save(nib.Nifti1Image(labels, np.eye(4)), image)
    write_labels(tmp_path / 'out.nii', labels.astype(int) * 300, like=image)
    assert read_labels(tmp_path / 'out.nii').max() == 600
    for wrong, words in ((labels.astype(int) - 1, '0 to 65535'), (labels[1:], 'to_source_grid')):
        with pytest.raises(ValueError, match=words):
            write_labels(tmp_path / 'wrong.nii', wrong, like=image)
    assert not os.path.exists(tmp_path / 'wrong.nii')


def test_label_files_with_fractions_or_a_fourth_axis_are_refused(tmp_path):
    nib.save(nib.Nifti1Image(np.full((3, 3, 3), 0.5, np.float32), np.eye(4)), tmp_path / 'soft.nii')
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3, 2), np.uint8), np.eye(4)), tmp_path / 'four.nii')
    nib.save(nib.Nifti1Image(np.full((3, 3, 3, 1), 1.9999, np.float32), np.eye(4)), tmp_path / 'fine.nii')
    with pytest.raises(ValueError, match='whole numbers'):
        read_labels(tmp_path / 'soft.nii')
    with pytest.raises(ValueError, match='three axes'):
        read_labels(tmp_path / 'four.nii')
    np.testing.assert_array_equal(read_labels(tmp_path / 'fine.nii'), np.full((3, 3, 3), 2))

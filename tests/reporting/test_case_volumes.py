"""Volumes and pictures of a case as they lie in the page."""

from __future__ import annotations

import base64
import gzip

import cv2
import nibabel as nib
import numpy as np
import pytest

from medctx3d.reporting.pictures import draw_case
from medctx3d.reporting.shown_case import ShownCase
from medctx3d.reporting.volumes import pack_case

AFFINE = np.array([[-0.8, 0, 0, 30], [0, 0.8, 0, -20], [0, 0, 4.0, 5], [0, 0, 0, 1]])


def case(shape=(40, 36, 12), *, prediction=True):
    rng = np.random.default_rng(0)
    truth = np.zeros(shape, np.int32)
    truth[8:20, 8:20, 4:8] = 2
    moved = np.roll(truth, 4, axis=0)
    grey = rng.integers(0, 256, shape).astype(np.uint8)
    return ShownCase('a', grey, AFFINE, truth, moved if prediction else None)


def packed_of(shown, budget):
    return pack_case(shown, budget, start=shown.slices())


def drawn_of(shown):
    return draw_case(shown, shown.slices())


def unpack(text):
    return nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text)))


def test_a_case_within_its_budget_is_packed_voxel_by_voxel():
    packed = packed_of(case(), 10**6)
    assert packed['factors'] == [1, 1, 1]
    for name, expected in dict(image=case().grey, truth=case().truth, prediction=case().prediction).items():
        image = unpack(packed['volumes'][name])
        np.testing.assert_array_equal(np.asarray(image.dataobj), expected)
        np.testing.assert_allclose(image.affine, AFFINE, atol=1e-5)


@pytest.mark.parametrize('budget', [20_000, 6_000])
def test_a_case_beyond_its_budget_is_made_coarser_along_its_finest_axes(budget):
    packed = packed_of(case(), budget)
    assert sum(map(len, packed['volumes'].values())) <= budget
    assert packed['factors'][2] == 1
    assert max(packed['factors']) > 1
    image = unpack(packed['volumes']['image'])
    assert list(image.shape) == packed['shape']
    step = packed['factors']
    block = case().grey[: step[0], : step[1], :1]
    assert abs(int(image.dataobj[0, 0, 0]) - block.mean()) <= 0.5
    np.testing.assert_allclose(
        image.affine[:3, 3], AFFINE @ [*((np.array(step) - 1) / 2), 1] @ np.eye(4, 3), atol=1e-4
    )


def test_a_case_that_cannot_fit_is_left_out():
    assert packed_of(case(), 100) is None


def test_the_viewer_starts_where_most_is_wrong():
    x, _, z = packed_of(case(), 10**6)['start']
    wrong = np.flatnonzero(case().difference().any(axis=(1, 2)))
    assert np.abs((wrong + 0.5) / 40 - (1 - x)).min() < 1e-3  # the first axis points left
    assert 4 / 12 < z < 8 / 12


def test_a_case_without_prediction_has_its_truth_alone():
    assert set(packed_of(case(prediction=False), 10**6)['volumes']) == {'image', 'truth'}
    assert {picture.layer for picture in drawn_of(case(prediction=False))} == {'truth'}


def test_pictures_show_three_planes_of_each_layer_true_to_mm():
    pictures = drawn_of(case())
    assert [picture.layer for picture in pictures] == ['truth'] * 3 + ['prediction'] * 3 + ['difference'] * 3
    assert [picture.plane for picture in pictures[:3]] == ['axial', 'coronal', 'sagittal']
    for picture in pictures[:3]:
        content = base64.b64decode(picture.data.partition(',')[2])
        assert cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR).shape[:2] == (
            picture.height,
            picture.width,
        )
    coronal = pictures[1]
    assert coronal.width / coronal.height == pytest.approx(40 * 0.8 / (12 * 4.0), abs=0.02)


def test_ids_beyond_a_byte_keep_their_value():
    large = case()._replace(truth=np.where(case().truth > 0, 700, 0))
    assert np.asarray(unpack(packed_of(large, 10**6)['volumes']['truth']).dataobj).max() == 700

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medctx3d.datasets.checks import (
    GRID_TOLERANCE,
    check_cases,
    check_finite,
    check_headers,
    check_same_grid,
    check_splits,
    class_ids,
)
from medctx3d.utils.volume_file import VolumeError, VolumeHeader

SHAPE = (8, 9, 10)
AFFINE = np.diag([1.0, 2, 3, 1])
METAINFO = dict(classes=('background', 'liver', 'tumour'), channels=('CT',))


def save(path: Path, shape: tuple = SHAPE, affine: np.ndarray = AFFINE, dtype: type = np.uint8) -> str:
    nib.save(nib.Nifti1Image(np.zeros(shape, dtype), affine), path)
    return str(path)


def record(tmp_path: Path, image: dict | None = None, label: dict | None = None) -> dict:
    return dict(
        case='a',
        image=save(tmp_path / 'image.nii.gz', **image or {}),
        label=save(tmp_path / 'label.nii', **label or {}),
    )


def says(error: pytest.ExceptionInfo, *words: str) -> None:
    for word in words:
        assert word in str(error.value)


def moved(mm: float, axis: int = 0) -> np.ndarray:
    affine = AFFINE.copy()
    affine[axis, 3] += mm
    return affine


def header(affine: np.ndarray) -> VolumeHeader:
    spacing = tuple(float(n) for n in np.linalg.norm(affine[:3, :3], axis=0))
    return VolumeHeader('x.nii', SHAPE, affine, spacing, np.dtype('u1'))


def test_matching_files_pass(tmp_path: Path) -> None:
    check_headers(record(tmp_path), METAINFO)
    check_headers(dict(case='a', image=str(tmp_path / 'image.nii.gz'), label=None), METAINFO)
    check_headers(dict(case='a', image=str(tmp_path / 'image.nii.gz')), {})  # one channel unless told


def test_label_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VolumeError) as error:
        check_headers(record(tmp_path, label=dict(shape=(8, 9, 11))), METAINFO)
    says(error, 'label.nii', 'image.nii.gz', '(8, 9, 10)', '(8, 9, 11)', 'Resample')


def test_displaced_label_is_refused_with_distance_and_tolerance(tmp_path: Path) -> None:
    with pytest.raises(VolumeError) as error:
        check_headers(record(tmp_path, label=dict(affine=moved(0.25))), METAINFO)
    says(error, 'label.nii', '0.25 mm off', 'within 0.1 mm', 'image.affine')


def test_flipped_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match='mm off'):
        check_headers(record(tmp_path, label=dict(affine=np.diag([-1.0, 2, 3, 1]))), METAINFO)


@settings(max_examples=40, deadline=None)
@given(part=st.floats(0.01, 3), axis=st.integers(0, 2))
def test_tolerance_is_a_part_of_the_smallest_voxel_edge(part: float, axis: int) -> None:
    shift = part * GRID_TOLERANCE * 1.0
    if abs(part - 1) < 1e-6:
        return
    if part < 1:
        check_same_grid(header(AFFINE), header(moved(shift, axis)), 'label')
    else:
        with pytest.raises(VolumeError):
            check_same_grid(header(AFFINE), header(moved(shift, axis)), 'label')


def test_spacing_error_counts_where_it_is_largest() -> None:
    """2 % of spacing is 0.02 mm a voxel, but 0.16 mm at the far end of eight."""
    with pytest.raises(VolumeError):
        check_same_grid(header(AFFINE), header(np.diag([1.02, 2, 3, 1])), 'label')
    check_same_grid(header(AFFINE), header(np.diag([1.002, 2, 3, 1])), 'label')


def test_label_with_channels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VolumeError) as error:
        check_headers(record(tmp_path, label=dict(shape=(*SHAPE, 3))), METAINFO)
    says(error, 'label.nii', 'must be 3D', 'one-hot')


def test_wrong_channel_counts_are_named(tmp_path: Path) -> None:
    one = dict(case='a', image=save(tmp_path / 'one.nii.gz'))
    four = dict(case='a', image=save(tmp_path / 'four.nii.gz', (*SHAPE, 4)))
    with pytest.raises(VolumeError) as error:
        check_headers(four, METAINFO)
    says(error, 'four.nii.gz', '1 channel(s) (CT)', 'it has 4', 'metainfo=dict(channels')
    with pytest.raises(VolumeError) as error:
        check_headers(one, dict(channels=('T1', 'T2')))
    says(error, 'one.nii.gz', '2 channel(s) (T1, T2)', 'it has 1')
    check_headers(four, dict(channels=tuple('abcd')))


def test_channel_files_must_share_a_grid(tmp_path: Path) -> None:
    files = [save(tmp_path / 'a_0000.nii'), save(tmp_path / 'a_0001.nii', affine=moved(1))]
    with pytest.raises(VolumeError, match=r'a_0001\.nii: the channel must lie where its image'):
        check_headers(dict(case='a', image=files), dict(channels=('T1', 'T2')))
    check_headers(dict(case='a', image=[files[0], files[0]]), dict(channels=('T1', 'T2')))


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_non_finite_voxels_are_counted_and_the_first_is_given(bad: float) -> None:
    voxels = np.zeros(SHAPE, np.float32)
    check_finite(voxels, 'x.nii')
    voxels[2, 3, 4] = voxels[5, 0, 0] = bad
    with pytest.raises(VolumeError) as error:
        check_finite(voxels, 'x.nii')
    says(error, 'x.nii', '2 are NaN or infinite', '(2, 3, 4)', 'nan_to_num')


@pytest.mark.parametrize('dtype', [np.uint8, np.int16, np.float32, np.float64])
def test_class_ids_keep_values_whatever_the_stored_type(dtype: type) -> None:
    values = np.array([[[0, 1], [2, 1]]], dtype)
    ids = class_ids(values, 'x.nii', METAINFO)
    assert ids.dtype == np.uint8
    np.testing.assert_array_equal(ids, values)


def test_many_classes_need_int16() -> None:
    ids = class_ids(np.array([[[0, 299]]]), 'x.nii', dict(classes=[str(i) for i in range(300)]))
    assert ids.dtype == np.int16
    assert ids.max() == 299


@pytest.mark.parametrize('wrong', [3, -1, 255])
def test_values_outside_the_classes_are_listed_with_counts(wrong: int) -> None:
    voxels = np.zeros(SHAPE, np.int16)
    voxels[:2, :2, :2] = wrong
    with pytest.raises(VolumeError) as error:
        class_ids(voxels, 'x.nii', METAINFO)
    says(error, 'x.nii', 'class ids 0 to 2', f'{wrong} (8 voxels)', 'label_map')


def test_blended_labels_are_refused_with_values() -> None:
    voxels = np.zeros(SHAPE, np.float32)
    voxels[0, 0, :4] = 0.5
    with pytest.raises(VolumeError) as error:
        class_ids(voxels, 'x.nii', METAINFO)
    says(error, 'x.nii', 'whole numbers', '0.5 (4 voxels)', 'nearest neighbour')


def test_nan_label_is_refused() -> None:
    with pytest.raises(VolumeError, match='NaN'):
        class_ids(np.full(SHAPE, np.nan), 'x.nii', METAINFO)


def test_label_map_is_applied_at_once_and_leaves_other_values() -> None:
    """Swapping two values shows that a mapped value is not mapped again."""
    stored = np.array([[[0, 1, 2, 4]]], np.uint8)
    metainfo = dict(METAINFO, label_map={1: 2, 2: 1, 4: 0})
    np.testing.assert_array_equal(class_ids(stored, 'x.nii', metainfo), [[[0, 2, 1, 0]]])


def test_label_map_leads_from_a_signed_to_a_large_id() -> None:
    stored = np.array([[[-1, 5]]], np.int8)
    metainfo = dict(classes=[str(i) for i in range(201)], label_map={5: 200, -1: 0})
    np.testing.assert_array_equal(class_ids(stored, 'x.nii', metainfo), [[[0, 200]]])


def test_label_without_class_names_is_refused() -> None:
    with pytest.raises(VolumeError, match=r'x\.nii.*classes=\('):
        class_ids(np.zeros(SHAPE, np.uint8), 'x.nii', {})


def case(name: str, **more: str) -> dict:
    return dict(case=name, image=f'/data/{name}.nii.gz', label=f'/data/{name}_seg.nii.gz', **more)


def test_disjoint_splits_pass() -> None:
    check_splits(dict(training=[case('a'), case('b')], test=[case('c')]))


def test_empty_split_is_named() -> None:
    with pytest.raises(ValueError, match="split 'test' is empty"):
        check_splits(dict(training=[case('a')], test=[]))


def test_case_in_two_splits_is_named() -> None:
    with pytest.raises(ValueError, match="'training' and 'test' must not share a case, 1 are in both: a"):
        check_splits(dict(training=[case('a'), case('b')], test=[case('a')]))


def test_file_in_two_splits_is_found_through_a_link(tmp_path: Path) -> None:
    (tmp_path / 'real.nii.gz').write_bytes(b'')
    (tmp_path / 'link.nii.gz').symlink_to(tmp_path / 'real.nii.gz')
    splits = {
        split: [dict(case=name, image=str(tmp_path / f'{name}.nii.gz'), label=None)]
        for split, name in [('training', 'real'), ('test', 'link')]
    }
    with pytest.raises(ValueError, match='must not share a file') as error:
        check_splits(splits)
    says(error, 'real', 'link')


def test_subject_in_two_splits_is_named() -> None:
    with pytest.raises(ValueError, match='must not share a subject') as error:
        check_splits(dict(training=[case('a1', subject='p')], test=[case('a2', subject='p')]))
    says(error, 'a1 and a2')


def test_case_listed_twice_is_refused_but_two_scans_of_a_subject_are_not() -> None:
    check_cases([case('a', subject='p'), case('b', subject='p')], 'training', 'x.json')
    with pytest.raises(ValueError, match=r"x\.json: split 'training' must list a case once, case a"):
        check_cases([case('a'), case('b'), case('a')], 'training', 'x.json')
    with pytest.raises(ValueError, match=r'file /data/a\.nii\.gz'):
        check_cases([case('a'), dict(case('b'), image='/data/a.nii.gz')], 'training', 'x.json')


def test_only_test_cases_may_lack_labels() -> None:
    bare = [dict(case=f'c{i}', image=f'{i}.nii', label=None) for i in range(7)]
    check_cases(bare, 'test', 'x.json')
    check_cases(bare, 'unlabelled', 'x.json')
    check_cases(bare, 'training', 'x.json', labelled=False)
    with pytest.raises(ValueError, match='7 have none: c0, c1, c2, c3, c4 and 2 more') as error:
        check_cases(bare, 'training', 'x.json')
    says(error, 'x.json', 'Add "label"')

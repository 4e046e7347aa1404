from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from dicom_files import write_series

from medctx3d.utils.dicom_series import is_dicom_folder
from medctx3d.utils.volume_file import VolumeError, read_header, read_volume

TURN = np.array([[0.0, -0.8, 0.6], [1.0, 0.0, 0.0], [0.0, 0.6, 0.8]])
RAS = np.diag([-1, -1, 1, 1])


def numbers(shape: tuple[int, int, int] = (6, 5, 4)) -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 1000, shape)


@pytest.mark.parametrize('backwards', [False, True])
def test_slices_become_a_volume_whatever_their_names(tmp_path: Path, backwards: bool) -> None:
    write_series(tmp_path / 's', numbers(), direction=TURN, backwards=backwards)
    (tmp_path / 's' / 'notes.txt').write_text('no slice')
    voxels, affine = read_volume(tmp_path / 's')
    np.testing.assert_array_equal(voxels, numbers())
    header = read_header(tmp_path / 's')
    assert (header.path, header.shape, header.dtype) == (str(tmp_path / 's'), (6, 5, 4), voxels.dtype)
    files = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path / 's'))
    image = SimpleITK.ReadImage(files)  # the oracle
    for index in ((0, 0, 0), (5, 3, 2)):
        expected = RAS[:3, :3] @ image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((affine @ [*index, 1])[:3], expected, atol=1e-6)


def test_a_tilted_gantry_shears_the_affine(tmp_path: Path) -> None:
    write_series(tmp_path / 's', numbers(), shear=(0, 0.5, 0))
    expected = RAS @ np.array([[0.8, 0, 0, -10], [0, 0.9, 0.5, -20], [0, 0, 2.5, 30], [0, 0, 0, 1]])
    np.testing.assert_allclose(read_header(tmp_path / 's').affine, expected, atol=1e-9)


def test_slices_scaled_differently_are_read_as_real_numbers(tmp_path: Path) -> None:
    write_series(tmp_path / 's', np.abs(numbers()), slopes=('.5', '.2'))
    voxels, _ = read_volume(tmp_path / 's')
    assert voxels.dtype == read_header(tmp_path / 's').dtype == np.float32
    np.testing.assert_allclose(voxels, np.abs(numbers()) * [0.5, 0.2, 0.5, 0.2], rtol=1e-6)


def test_a_missing_slice_is_found_by_its_gap(tmp_path: Path) -> None:
    write_series(tmp_path / 's', numbers((6, 5, 8)), left_out=(3,))
    with pytest.raises(
        VolumeError, match=r's: slices must be equally spaced, most are 2\.5 mm .* 5 mm between .*-004'
    ):
        read_header(tmp_path / 's')


def test_two_series_are_named_with_their_descriptions(tmp_path: Path) -> None:
    write_series(tmp_path / 's', numbers(), uid='1.2.3', description='Abdomen 5.0')
    write_series(tmp_path / 's', numbers(), uid='1.2.4', description='Lung 1.0')
    with pytest.raises(VolumeError) as error:
        read_header(tmp_path / 's')
    for words in ('one DICOM series, it holds 2', 'Abdomen 5.0 (CT, 4 files)', 'Lung 1.0 (CT, 4 files)'):
        assert words in str(error.value)


def test_slices_upon_one_another_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path / 's', numbers(), spacing=(1, 1, 1e-5))
    with pytest.raises(VolumeError, match=r'slices must lie one behind another, 4 of 4 share.*time series'):
        read_header(tmp_path / 's')


def test_slices_of_another_kind_are_named(tmp_path: Path) -> None:
    write_series(tmp_path / 's', numbers())
    write_series(tmp_path / 'other', numbers((6, 5, 5)), direction=TURN)
    last = sorted((tmp_path / 'other').iterdir())[-1]
    last.rename(tmp_path / 's' / 'scout.dcm')
    with pytest.raises(VolumeError, match=r'one size, direction and voxel size, .*Take scouts'):
        read_header(tmp_path / 's')


def test_truncated_slices_single_slices_and_folders_without_any_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path / 's', numbers((64, 64, 3)))
    path = tmp_path / 's' / '1.2.3-001.dcm'
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(
        VolumeError, match=r's: every slice must be whole, 1 cannot be read, the first is 1\.2\.3-001\.dcm'
    ):
        read_volume(tmp_path / 's')
    write_series(tmp_path / 'one', numbers(), left_out=(1, 2, 3))
    with pytest.raises(VolumeError, match='at least 2 slices, the series has 1'):
        read_header(tmp_path / 'one')
    (tmp_path / 'none').mkdir()
    (tmp_path / 'none' / 'readme.txt').write_text('x')
    with pytest.raises(VolumeError, match='must hold the slices of a DICOM series, none of its 1 files is one'):
        read_header(tmp_path / 'none')


def test_dicom_folders_are_known_by_mark_or_name(tmp_path: Path) -> None:
    write_series(tmp_path / 's', numbers(), left_out=(0, 1, 2))
    assert is_dicom_folder(tmp_path / 's')
    next((tmp_path / 's').iterdir()).rename(tmp_path / 's' / 'IM0001')
    assert is_dicom_folder(tmp_path / 's')
    (tmp_path / 'none').mkdir()
    (tmp_path / 'none' / 'a.txt').write_text('x' * 200)
    assert not is_dicom_folder(tmp_path / 'none')

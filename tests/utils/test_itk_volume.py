from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from medctx3d.utils import volume_header
from medctx3d.utils.volume_file import VolumeError, read_header, read_volume

SHAPE = (9, 8, 7)
TURN = np.array([[0.0, -0.8, 0.6], [1.0, 0.0, 0.0], [0.0, 0.6, 0.8]])  # orthonormal, no axis its own
SPACING, ORIGIN = (0.7, 1.1, 3.3), (1.1, -20.3, 0.123456789012345)
ALL = ('a.nrrd', 'a.nhdr', 'a.mha', 'a.mhd')


def numbers(dtype: type = np.int16, channels: int | None = None) -> np.ndarray:
    shape = SHAPE if channels is None else (*SHAPE, channels)
    return np.random.default_rng(0).integers(0, 100, shape).astype(dtype)


def save(path: Path, voxels: np.ndarray, *, compress: bool = True) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(voxels.transpose(2, 1, 0, *range(3, voxels.ndim)), isVector=voxels.ndim == 4)
    image.SetDirection(TURN.ravel().tolist())
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    SimpleITK.WriteImage(image, str(path), compress)
    return image


@pytest.mark.parametrize('name', ALL)
@pytest.mark.parametrize('dtype', [np.uint8, np.int16, np.float32, np.float64])
def test_voxels_and_their_places_are_those_of_simpleitk(tmp_path: Path, name: str, dtype: type) -> None:
    image = save(tmp_path / name, numbers(dtype))
    voxels, affine = read_volume(tmp_path / name)
    np.testing.assert_array_equal(voxels, numbers(dtype))
    assert voxels.dtype == dtype
    header = read_header(tmp_path / name)
    assert (header.shape, header.dtype) == (SHAPE, np.dtype(dtype))
    np.testing.assert_allclose(header.spacing, SPACING)
    for index in ((0, 0, 0), (3, 5, 6)):
        left, back, up = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose((affine @ [*index, 1])[:3], [-left, -back, up], atol=1e-12)


@pytest.mark.parametrize('name', ALL)
def test_components_of_a_voxel_are_channels(tmp_path: Path, name: str) -> None:
    save(tmp_path / name, numbers(np.float32, channels=2))
    assert read_header(tmp_path / name).shape == (*SHAPE, 2)
    np.testing.assert_array_equal(read_volume(tmp_path / name)[0], numbers(np.float32, channels=2))


@pytest.mark.parametrize('suffix', ['.nrrd', '.mha'])
@pytest.mark.parametrize('frames', [1, 3])
def test_a_fourth_axis_is_frames_and_one_frame_is_none(tmp_path: Path, suffix: str, frames: int) -> None:
    voxels = np.arange(2 * 3 * 4 * frames, dtype=np.float32).reshape(2, 3, 4, frames)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels.T, isVector=False), str(tmp_path / f'f{suffix}'))
    found, affine = read_volume(tmp_path / f'f{suffix}')
    np.testing.assert_array_equal(found, voxels[..., 0] if frames == 1 else voxels)
    np.testing.assert_array_equal(np.diag(affine), [-1, -1, 1, 1])


@pytest.mark.parametrize('name', ['a.nrrd', 'a.mha'])
@pytest.mark.parametrize('compress', [False, True])
def test_truncated_files_are_named_as_such(tmp_path: Path, name: str, compress: bool) -> None:
    path = tmp_path / name
    save(path, numbers(), compress=compress)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(VolumeError, match=rf'{name}: .*truncated or damaged.*Fetch or copy it again'):
        read_volume(path)


@pytest.mark.parametrize(('name', 'voxels'), [('a.mhd', 'a.zraw'), ('a.nhdr', 'a.raw.gz')])
def test_a_header_without_its_voxel_file_names_that_file(tmp_path: Path, name: str, voxels: str) -> None:
    save(tmp_path / name, numbers())
    (tmp_path / voxels).unlink()
    with pytest.raises(FileNotFoundError, match=rf'{voxels}: no such file.*{name} has its voxels there'):
        read_header(tmp_path / name)


@pytest.mark.parametrize('name', ALL)
def test_other_content_is_refused_by_its_first_bytes(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b'<html>404 not found</html>')
    with pytest.raises(VolumeError, match=rf'{name}: must be (NRRD|MetaImage), its content starts with .*<html>'):
        read_header(tmp_path / name)
    (tmp_path / name).write_bytes(b'')
    with pytest.raises(VolumeError, match=rf'{name}: .*empty'):
        read_header(tmp_path / name)


def nrrd(path: Path, *lines: str) -> Path:
    head = ['NRRD0004', 'type: short', 'dimension: 3', 'sizes: 9 8 7', 'endian: little', 'encoding: raw', *lines]
    path.write_bytes('\n'.join(head).encode() + b'\n\n' + numbers().tobytes(order='F'))
    return path


def test_space_of_an_nrrd_is_heeded_and_shear_kept(tmp_path: Path) -> None:
    lines = ('space directions: (1,0,0) (0,2,0) (0,0.5,3)', 'space origin: (1,2,3)')
    ras = read_header(nrrd(tmp_path / 'r.nrrd', 'space: right-anterior-superior', *lines))
    lps = read_header(nrrd(tmp_path / 'l.nrrd', 'space: left-posterior-superior', *lines))
    expected = np.array([[1, 0, 0, 1], [0, 2, 0.5, 2], [0, 0, 3, 3], [0, 0, 0, 1]])
    np.testing.assert_allclose(ras.affine, expected, atol=1e-12)
    np.testing.assert_allclose(lps.affine, np.diag([-1, -1, 1, 1]) @ expected, atol=1e-12)


def test_an_nrrd_without_space_is_read_with_a_warning_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = nrrd(tmp_path / 'lost.nrrd', 'spacings: 1 2 3')
    monkeypatch.setattr(volume_header, '_UNORIENTED', [])
    with pytest.warns(UserWarning, match=r'lost\.nrrd states no orientation .*"space".*left, posterior and up'):
        assert read_header(path).spacing == (1, 2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        read_header(path)


def test_a_singular_nrrd_is_refused(tmp_path: Path) -> None:
    lines = ('space: left-posterior-superior', 'space directions: (1,0,0) (1,0,0) (0,0,3)', 'space origin: (0,0,0)')
    with pytest.raises(VolumeError, match=r's\.nrrd: the affine must be finite and invertible'):
        read_header(nrrd(tmp_path / 's.nrrd', *lines))


def test_complex_voxels_and_slices_are_refused(tmp_path: Path) -> None:
    both = SimpleITK.RealAndImaginaryToComplex(*[SimpleITK.Image(4, 4, 4, SimpleITK.sitkFloat32)] * 2)
    SimpleITK.WriteImage(both, str(tmp_path / 'c.nrrd'))
    with pytest.raises(VolumeError, match=r'c\.nrrd: '):
        read_header(tmp_path / 'c.nrrd')
    SimpleITK.WriteImage(SimpleITK.Image(4, 4, SimpleITK.sitkInt16), str(tmp_path / 'flat.mha'))
    with pytest.raises(VolumeError, match=r'flat\.mha: a volume must be \(X, Y, Z\).*\(4, 4\)'):
        read_header(tmp_path / 'flat.mha')

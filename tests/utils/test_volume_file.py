from __future__ import annotations

import gzip
import os
import struct
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medctx3d.utils import nifti_volume, volume_header
from medctx3d.utils.volume_file import VolumeError, read_header, read_volume, strip_suffix

SHAPE = (9, 8, 7)


def random_volume(dtype: type = np.int16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 100, SHAPE).astype(dtype)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / 'good.nii.gz'
    nib.save(nib.Nifti1Image(random_volume(), np.diag([1.5, 2, 3, 1])), path)
    return path


def edited(good: Path, name: str, offset: int, fmt: str, *values: float) -> Path:
    """A copy, uncompressed, with header bytes overwritten (nifti1.h gives the offsets)."""
    raw = bytearray(gzip.decompress(good.read_bytes()))
    struct.pack_into(fmt, raw, offset, *values)
    path = good.with_name(name)
    path.write_bytes(raw)
    return path


def says(error: pytest.ExceptionInfo, *words: str) -> None:
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize('name', ['a.nii.gz', 'a.nii', 'a.hdr', 'a.img'])
@pytest.mark.parametrize('dtype', [np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_reads_what_nibabel_reads(tmp_path: Path, name: str, dtype: type) -> None:
    kind = nib.Nifti1Pair if name.endswith(('.hdr', '.img')) else nib.Nifti1Image
    affine = np.array([[0, 0, 2.0, -5], [1.5, 0, 0, 3], [0, -3.0, 0, 8], [0, 0, 0, 1]])
    nib.save(kind(random_volume(dtype), affine), tmp_path / name)
    voxels, found = read_volume(tmp_path / name)
    np.testing.assert_array_equal(voxels, random_volume(dtype))
    np.testing.assert_array_equal(found, affine)
    assert voxels.dtype == dtype
    header = read_header(tmp_path / name)
    assert header.shape == SHAPE
    assert header.spacing == (1.5, 3, 2)
    assert header.dtype == dtype


def test_reads_nifti2_and_foreign_byte_order(tmp_path: Path) -> None:
    nib.save(nib.Nifti2Image(random_volume(), np.eye(4)), tmp_path / 'two.nii.gz')
    np.testing.assert_array_equal(read_volume(tmp_path / 'two.nii.gz')[0], random_volume())
    foreign = nib.Nifti1Image(random_volume(), np.eye(4), nib.Nifti1Header(endianness='>'))
    nib.save(foreign, tmp_path / 'big.nii')
    np.testing.assert_array_equal(read_volume(tmp_path / 'big.nii')[0], random_volume())


def test_slope_and_intercept_are_applied_in_float32(good: Path) -> None:
    voxels, _ = read_volume(edited(good, 'scaled.nii', 112, '<ff', 2.0, -1024.0))
    assert voxels.dtype == np.float32
    np.testing.assert_array_equal(voxels, random_volume() * 2.0 - 1024)


@settings(max_examples=25, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    spacing=st.tuples(*[st.floats(0.2, 9)] * 3),
    flip=st.sampled_from([-1, 1]),
    code=st.sampled_from(['sform', 'qform']),
)
def test_affine_and_spacing_agree_with_nibabel(
    tmp_path_factory: pytest.TempPathFactory, angles: tuple, spacing: tuple, flip: int, code: str
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = nib.eulerangles.euler2mat(*angles) @ np.diag(spacing) @ np.diag([flip, 1, 1])
    image = nib.Nifti1Image(random_volume(), None)
    (image.set_sform if code == 'sform' else image.set_qform)(affine, code=1)
    path = tmp_path_factory.getbasetemp() / 'affine.nii'
    nib.save(image, path)
    header = read_header(path)
    np.testing.assert_array_equal(header.affine, nib.load(path).affine)
    np.testing.assert_allclose(header.spacing, spacing, rtol=1e-5)


def test_sform_goes_before_qform(tmp_path: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_qform(np.diag([5.0, 5, 5, 1]), code=1)
    header.set_sform(np.diag([2.0, 3, 4, 1]), code=1)
    nib.save(nib.Nifti1Image(random_volume(), None, header), tmp_path / 'both.nii')
    written = nib.load(tmp_path / 'both.nii')
    assert written.header.get_zooms() == (5, 5, 5)
    assert read_header(tmp_path / 'both.nii').spacing == (2, 3, 4)


def test_one_frame_is_3d_and_frames_are_the_fourth_axis(tmp_path: Path) -> None:
    for shape, expected in [((5, 6, 7, 1), (5, 6, 7)), ((5, 6, 7, 3), (5, 6, 7, 3)), ((5, 6, 7, 1, 3), (5, 6, 7, 3))]:
        nib.save(
            nib.Nifti1Image(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), np.eye(4)), tmp_path / 'n.nii'
        )
        voxels, _ = read_volume(tmp_path / 'n.nii')
        assert voxels.shape == read_header(tmp_path / 'n.nii').shape == expected
        np.testing.assert_array_equal(voxels.ravel(), np.arange(np.prod(shape)))  # row-major on both sides


@pytest.mark.parametrize('kept', [0.95, 0.5, 0.05])
def test_truncated_gzip_is_named_as_such(good: Path, kept: float) -> None:
    whole = good.read_bytes()
    good.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(VolumeError) as error:
        read_volume(good)
    says(error, str(good), 'truncated', 'Fetch or copy it again')


def test_gzip_without_its_checksum_is_refused(good: Path) -> None:
    good.write_bytes(good.read_bytes()[:-8])  # nibabel alone reads this file without complaint
    with pytest.raises(VolumeError) as error:
        read_volume(good)
    says(error, str(good), 'truncated or damaged')


def test_gzip_with_a_wrong_checksum_is_refused(good: Path) -> None:
    damaged = bytearray(good.read_bytes())
    damaged[-6] ^= 0xFF
    good.write_bytes(damaged)
    with pytest.raises(VolumeError) as error:
        read_volume(good)
    says(error, str(good), 'CRC')


def test_complete_gzip_of_too_few_voxels_is_refused(good: Path) -> None:
    good.write_bytes(gzip.compress(gzip.decompress(good.read_bytes())[:-100]))
    with pytest.raises(VolumeError) as error:
        read_volume(good)
    says(error, str(good), 'as many voxels as its header says')


@pytest.mark.parametrize(
    ('name', 'content', 'words'),
    [
        ('text.nii.gz', b'<html>404 not found</html>' * 20, ['must start as gzip', 'Fetch it again']),
        ('text.nii', b'<html>404 not found</html>' * 20, ['must be NIfTI', 'Fetch it again']),
        ('empty.nii.gz', b'', ['empty', 'again']),
        ('zipped_text.nii.gz', gzip.compress(b'hello' * 200, mtime=0), ['must be NIfTI']),
        ('short.nii', struct.pack('<i', 348) + b'x' * 50, ['348 bytes', 'ends after 54']),
        ('analyze.hdr', struct.pack('<i', 348) + bytes(400), ['Analyze', 'left']),
        ('picture.png', b'x', ['must be NIfTI', 'sitk.WriteImage']),
    ],
)
def test_other_content_is_named(tmp_path: Path, name: str, content: bytes, words: list[str]) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    if name.endswith('.hdr'):
        path.with_suffix('.img').write_bytes(b'x')
    with pytest.raises(VolumeError) as error:
        read_header(path)
    says(error, str(path), *words)


def test_gzip_under_a_plain_name_and_the_reverse_tell_the_new_name(good: Path) -> None:
    plain, zipped = good.with_name('plain.nii'), good.with_name('raw.nii.gz')
    plain.write_bytes(good.read_bytes())
    zipped.write_bytes(gzip.decompress(good.read_bytes()))
    with pytest.raises(VolumeError, match=r'plain\.nii.*Rename it to \.nii\.gz'):
        read_header(plain)
    with pytest.raises(VolumeError, match=r'raw\.nii\.gz.*Rename it to \.nii\.'):
        read_header(zipped)


def test_missing_file_says_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as error:
        read_header('scans/none.nii.gz')
    says(error, 'scans/none.nii.gz', str(tmp_path / 'scans' / 'none.nii.gz'), 'data root')


def test_half_a_pair_and_a_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / 'half.hdr').write_bytes(b'x')
    with pytest.raises(FileNotFoundError, match=r'half\.img: no such file \(the other half'):
        read_header(tmp_path / 'half.hdr')
    (tmp_path / 'folder.nii').mkdir()
    with pytest.raises(VolumeError, match=r'folder\.nii: .*is a folder'):
        read_header(tmp_path / 'folder.nii')


def test_a_pair_header_under_a_single_file_name_is_refused(good: Path) -> None:
    pair = edited(good, 'pair.nii', 344, '<4s', b'ni1\0')
    with pytest.raises(VolumeError, match=r'pair\.nii.*holds a header only.*\.hdr and \.img'):
        read_header(pair)


@pytest.mark.parametrize('size', [0.0, -2.0, float('nan'), float('inf')])
def test_voxel_sizes_must_be_positive(good: Path, size: float) -> None:
    path = edited(good, 'size.nii', 84, '<f', size)
    with pytest.raises(VolumeError) as error:
        read_header(path)
    says(error, str(path), 'must be positive', f'{size}', 'set_zooms')


@pytest.mark.parametrize('row', [(0, 0, 0, 0), (0, 2, 0, 0), (np.nan, 0, 0, 0)])
def test_singular_affine_is_refused(good: Path, row: tuple) -> None:
    path = edited(good, 'affine.nii', 280, '<ffff', *row)
    with pytest.raises(VolumeError) as error:
        read_volume(path)
    says(error, str(path), 'finite and invertible', 'nibabel.Nifti1Image')


@pytest.mark.parametrize('shape', [(9, 8), (9, 8, 1), (1, 9, 8), (4, 4, 4, 2, 3)])
def test_what_is_not_3d_or_4d_is_refused_with_its_shape(tmp_path: Path, shape: tuple) -> None:
    path = tmp_path / 'flat.nii.gz'
    nib.save(nib.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4)), path)
    with pytest.raises(VolumeError) as error:
        read_header(path)
    says(error, str(path), '(X, Y, Z)', str(tuple(nib.load(path).shape)), 'Stack 2D slices')


def test_colour_voxels_are_refused(tmp_path: Path) -> None:
    rgb = np.zeros(SHAPE, dtype=[('R', 'u1'), ('G', 'u1'), ('B', 'u1')])
    nib.save(nib.Nifti1Image(rgb, np.eye(4)), tmp_path / 'rgb.nii')
    with pytest.raises(VolumeError, match=r'rgb\.nii: voxels must be numbers'):
        read_header(tmp_path / 'rgb.nii')


def test_unknown_voxel_type_is_refused(good: Path) -> None:
    with pytest.raises(VolumeError, match=r'type\.nii: the NIfTI header must be valid'):
        read_volume(edited(good, 'type.nii', 70, '<h', 999))


def test_missing_orientation_is_said_once(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = bytearray(gzip.decompress(good.read_bytes()))
    struct.pack_into('<hh', raw, 252, 0, 0)
    path = good.with_name('lost.nii')
    path.write_bytes(raw)
    monkeypatch.setattr(volume_header, '_UNORIENTED', [])
    with pytest.warns(UserWarning, match=r'lost\.nii states no orientation'):
        header = read_header(path)
    assert nib.aff2axcodes(header.affine) == ('L', 'A', 'S')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        read_header(path)


def test_system_errors_are_not_dressed_up_as_damage(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, 'Permission denied', str(good))

    monkeypatch.setattr(nifti_volume, '_open', refuse)
    with pytest.raises(PermissionError):
        read_header(good)


def test_suffixes_are_stripped() -> None:
    assert [strip_suffix(f'a.b/c.d{suffix}') for suffix in ('.nii.gz', '.nii', '.hdr', '.txt')] == ['c.d'] * 3 + [
        'c.d.txt'
    ]


@pytest.mark.parametrize(
    ('name', 'codes', 'shape'),
    [
        ('sct_t2_cord', 'PSR', (60, 55, 52)),
        ('sct_t2s_gm', 'LAS', (49, 54, 9)),
        ('pyrad_brain1', 'LAS', (256, 256, 25)),
        ('pyrad_breast1', 'LPS', (45, 120, 21)),
        ('mni152_t1_tissue_2mm', 'RAS', (73, 91, 78)),
    ],
)
def test_awkward_real_files_keep_their_geometry(name: str, codes: str, shape: tuple) -> None:
    folder = os.environ.get('MEDCTX3D_DATA')
    if not folder:
        pytest.skip('MEDCTX3D_DATA is not set')
    path = Path(folder) / 'tiny_fixtures' / 'images' / f'{name}.nii.gz'
    voxels, affine = read_volume(path)
    assert ''.join(nib.aff2axcodes(affine)) == codes
    assert voxels.shape == shape
    np.testing.assert_array_equal(voxels, np.asarray(nib.load(path).dataobj))

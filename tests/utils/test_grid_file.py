from __future__ import annotations

import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from dicom_files import write_series
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medctx3d.utils.grid_file import result_suffix, write_on_grid
from medctx3d.utils.volume_file import VolumeError, read_header, read_volume

SHAPE = (5, 6, 7)
LABELS = np.random.default_rng(0).integers(0, 9, SHAPE).astype(np.uint8)
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def sheared(angles=(0.3, -0.2, 0.1), spacing=(0.7, 1.3, 3.1), shear=0.05) -> np.ndarray:
    affine = np.eye(4)
    turn = nib.eulerangles.euler2mat(*angles)
    affine[:3, :3] = turn @ np.array([[1, 0, 0], [shear, 1, 0], [0, 0, 1]]) @ np.diag(spacing)
    affine[:3, 3] = 17.3, -250.7, 1024.9
    return affine


def save(path: Path, affine: np.ndarray, voxels: np.ndarray = LABELS) -> Path:
    """A file of any format, made without the code under test."""
    if path.suffix in ('.nrrd', '.mha', '.mhd', '.nhdr'):
        lps = LPS @ affine
        image = SimpleITK.GetImageFromArray(voxels.T, isVector=False)
        spacing = np.linalg.norm(lps[:3, :3], axis=0)
        image.SetSpacing(spacing.tolist())
        image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
        image.SetOrigin(lps[:3, 3].tolist())
        SimpleITK.WriteImage(image, str(path))
    else:
        nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


@pytest.mark.parametrize('like', ['a.nii.gz', 'a.nrrd', 'a.nhdr', 'a.mha', 'a.mhd'])
@pytest.mark.parametrize('suffix', ['.nii.gz', '.nii', '.nrrd', '.mha'])
def test_voxels_lie_where_those_of_the_other_file_lie(tmp_path: Path, like: str, suffix: str) -> None:
    source = save(tmp_path / like, sheared(), np.zeros(SHAPE, np.float32))
    write_on_grid(tmp_path / f'out{suffix}', LABELS, like=source)
    voxels, affine = read_volume(tmp_path / f'out{suffix}')
    np.testing.assert_array_equal(voxels, LABELS)
    assert voxels.dtype == np.uint8
    np.testing.assert_allclose(affine, read_header(source).affine, rtol=1e-6, atol=1e-4)  # float32 in NIfTI
    assert result_suffix(source) == {'a.nii.gz': '.nii.gz', 'a.nrrd': '.nrrd', 'a.nhdr': '.nrrd'}.get(like, '.mha')


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    spacing=st.tuples(*[st.floats(0.05, 20)] * 3),
    shear=st.floats(-0.1, 0.1),
    suffix=st.sampled_from(['.nrrd', '.mha']),
)
def test_direction_origin_and_spacing_of_itk_formats_come_back_bit_for_bit(
    tmp_path: Path, angles: tuple, spacing: tuple, shear: float, suffix: str
) -> None:
    source = save(tmp_path / f'in{suffix}', sheared(angles, spacing, shear))
    write_on_grid(tmp_path / f'out{suffix}', LABELS, like=source)
    theirs, ours = SimpleITK.ReadImage(str(source)), SimpleITK.ReadImage(str(tmp_path / f'out{suffix}'))
    assert ours.GetDirection() == theirs.GetDirection()
    assert ours.GetOrigin() == theirs.GetOrigin()
    assert ours.GetSpacing() == theirs.GetSpacing()
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(ours), LABELS.T)


def test_space_of_an_nrrd_with_channels_goes_to_results_with_and_without(tmp_path: Path) -> None:
    head = (
        'NRRD0004\ntype: float\ndimension: 4\nspace: right-anterior-superior\nsizes: 2 5 6 7\n'
        'kinds: list domain domain domain\nspace directions: none (0.1, 0, 0) (0, 1.7, 0) (0, 0.3, 3)\n'
        'space origin: (0.1,0.2,0.3)\nendian: little\nencoding: raw\n\n'
    )
    (tmp_path / 'in.nrrd').write_bytes(head.encode() + bytes(4 * 2 * 5 * 6 * 7))
    both = np.stack([LABELS, LABELS[::-1]], axis=-1)
    for name, voxels in (('one.nrrd', LABELS), ('two.nrrd', both)):
        write_on_grid(tmp_path / name, voxels, like=tmp_path / 'in.nrrd')
        found, affine = read_volume(tmp_path / name)
        np.testing.assert_array_equal(found, voxels)
        np.testing.assert_array_equal(affine, read_header(tmp_path / 'in.nrrd').affine)
        assert b'space: right-anterior-superior\n' in (tmp_path / name).read_bytes()


def test_a_dicom_series_gives_nifti_whose_qform_is_left_out_where_it_would_lie(tmp_path: Path) -> None:
    for name, shear in (('straight', 0.0), ('tilted', 0.5)):
        write_series(tmp_path / name, LABELS, shear=(0, shear, 0))
        assert result_suffix(tmp_path / name) == '.nii.gz'
        write_on_grid(tmp_path / f'{name}.nii.gz', LABELS, like=tmp_path / name)
        saved = nib.load(tmp_path / f'{name}.nii.gz')
        np.testing.assert_allclose(saved.affine, read_header(tmp_path / name).affine, rtol=1e-6)
        assert (int(saved.header['sform_code']), int(saved.header['qform_code'])) == (1, 0 if shear else 1)


def test_qform_and_sform_that_differ_are_both_kept_and_the_sform_is_read(tmp_path: Path) -> None:
    image = nib.Nifti1Image(LABELS, None)
    for order in itertools.permutations(range(3)):
        image.header.set_qform(np.diag([5.0, 5, 5, 1]), code=1)
        image.header.set_sform(np.diag([2.0, 3, 4, 1])[[*order, 3]], code=3)
        nib.save(nib.Nifti1Image(LABELS, None, image.header), tmp_path / 'in.nii')
        write_on_grid(tmp_path / 'out.nii', LABELS, like=tmp_path / 'in.nii')
        raw = [(tmp_path / name).read_bytes() for name in ('in.nii', 'out.nii')]
        for part in (slice(76, 92), slice(252, 328)):  # pixdim; codes, quaternion, offsets, sform
            assert raw[0][part] == raw[1][part]
        np.testing.assert_array_equal(read_header(tmp_path / 'out.nii').affine, nib.load(tmp_path / 'in.nii').affine)


def test_other_suffixes_and_shapes_are_refused(tmp_path: Path) -> None:
    source = save(tmp_path / 'a.nii', np.eye(4))
    for name in ('out.mhd', 'out.png'):
        with pytest.raises(VolumeError, match=r'results are written as \.nii\.gz, \.nii, \.nrrd, \.mha'):
            write_on_grid(tmp_path / name, LABELS, like=source)
    with pytest.raises(VolumeError, match=r'the result has \(4, 6, 7\) voxels'):
        write_on_grid(tmp_path / 'out.nii', LABELS[1:], like=source)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.nii']

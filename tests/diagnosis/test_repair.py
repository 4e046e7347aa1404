"""Repairs are made in a copy that appears whole or not at all, and change nothing that they do not log."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spoiling import sheared
from tiny_set import AFFINE, SHAPE, Spoiler, build, diagnose, read_facts

from medctx3d.diagnosis import repair
from medctx3d.diagnosis.header_checks import shear
from medctx3d.diagnosis.repair import LOG, Repair, orthonormal, repair_copy


@pytest.fixture(scope='module')
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp('clean'))


@pytest.fixture
def spoiler(clean: Path, tmp_path: Path) -> Spoiler:
    shutil.copytree(clean, tmp_path / 'set')
    return Spoiler(tmp_path / 'set')


def fixed(spoiler: Spoiler) -> tuple[Path, list[Repair]]:
    out = spoiler.folder.parent / 'fixed'
    repairs = repair_copy(read_facts(spoiler.folder), spoiler.folder, [str(spoiler.folder / 'dataset.json')], out)
    return out, repairs


def test_a_clean_set_is_copied_byte_by_byte(spoiler: Spoiler) -> None:
    out, repairs = fixed(spoiler)
    assert repairs == []
    for path in spoiler.folder.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes()
    assert json.loads((out / LOG).read_text(encoding='utf-8'))['repairs'] == []


def test_what_is_repaired_is_logged_and_found_no_more(spoiler: Spoiler) -> None:
    for kind in ('image', 'label'):
        spoiler.header(f'{kind}1', lambda i: i.set_sform(sheared(0.01), 1))
    spoiler.header('image2', lambda i: i.set_qform(np.diag([2.0, 2, 3, 1]), 1))
    spoiler.voxels('label3', lambda v: v.astype(np.float64))
    before = {path.name: path.read_bytes() for path in spoiler.folder.iterdir()}
    assert {f.check for f in diagnose(spoiler.folder)} == {'sheared_affine', 'forms_apart', 'real_label'}
    out, repairs = fixed(spoiler)
    assert {(r.file, r.change) for r in repairs} >= {
        ('image1.nii.gz', 'affine'),
        ('label1.nii.gz', 'affine'),
        ('image2.nii.gz', 'forms'),
        ('label3.nii.gz', 'integers'),
    }
    assert diagnose(out) == []
    assert {path.name: path.read_bytes() for path in spoiler.folder.iterdir()} == before
    logged = json.loads((out / LOG).read_text(encoding='utf-8'))['repairs']
    assert logged == [r._asdict() for r in repairs]


def test_repairs_leave_voxels_as_they_are(spoiler: Spoiler) -> None:
    spoiler.header('image1', lambda i: i.set_sform(sheared(0.01), 1))
    spoiler.voxels('label3', lambda v: v.astype(np.float32))
    out, _ = fixed(spoiler)
    for name in ('image1.nii.gz', 'label3.nii.gz'):
        one, other = (nib.load(folder / name) for folder in (spoiler.folder, out))
        np.testing.assert_array_equal(np.asarray(one.dataobj), np.asarray(other.dataobj))
    assert nib.load(out / 'label3.nii.gz').get_data_dtype() == np.uint8


def test_a_slope_is_written_into_the_voxels(spoiler: Spoiler) -> None:
    path = spoiler.path('label3')
    image = nib.load(path)
    halved = nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
    halved.header.set_slope_inter(1, 0)
    nib.save(halved, path)
    from spoiling import raw

    spoiler.bytes('label3', raw(112, np.float32(2)))
    out, _ = fixed(spoiler)
    found = nib.load(out / 'label3.nii.gz')
    assert (found.dataobj.slope, found.dataobj.inter) == (1, 0)
    np.testing.assert_array_equal(np.asarray(found.dataobj), 2 * np.asarray(image.dataobj))


def test_what_is_not_safe_is_left_and_said(spoiler: Spoiler) -> None:
    spoiler.header('image1', lambda i: i.set_sform(sheared(0.4), 1))  # a gantry, tilted by 23 degrees
    spoiler.voxels('label2', lambda v: v + np.float32(0.3))
    spoiler.bytes('image4', lambda b: b[: len(b) // 2])
    out, repairs = fixed(spoiler)
    left = {r.file: r.told for r in repairs}
    assert all(r.change == 'none' for r in repairs)
    assert 'resample it' in left['image1.nii.gz']
    assert 'cannot be read' in left['image4.nii.gz']
    for name in ('image1', 'label2', 'image4'):
        assert (out / f'{name}.nii.gz').read_bytes() == spoiler.path(name).read_bytes()


def test_nothing_is_overwritten(spoiler: Spoiler) -> None:
    (spoiler.folder.parent / 'fixed').mkdir()
    with pytest.raises(ValueError, match='must not exist, nothing is overwritten'):
        fixed(spoiler)


def test_a_copy_inside_the_data_is_refused(spoiler: Spoiler) -> None:
    with pytest.raises(ValueError, match='must lie outside the data set'):
        repair_copy(read_facts(spoiler.folder), spoiler.folder, [], spoiler.folder / 'fixed')


def test_files_outside_the_root_are_refused_before_anything_is_written(
    spoiler: Spoiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('MEDCTX3D_DATA_FOLDERS', str(spoiler.folder.parent))  # the list may name it
    elsewhere = spoiler.folder.parent / 'elsewhere.nii.gz'
    shutil.move(spoiler.path('image1'), elsewhere)
    spoiler.relist(lambda c: c['training'][1].update(image=str(elsewhere)))
    with pytest.raises(ValueError, match=r'elsewhere\.nii\.gz: lies outside'):
        fixed(spoiler)
    assert sorted(path.name for path in spoiler.folder.parent.iterdir()) == ['elsewhere.nii.gz', 'set']


def test_a_full_disk_leaves_nothing_behind(spoiler: Spoiler, monkeypatch: pytest.MonkeyPatch) -> None:
    copy, done = shutil.copy2, []

    def full(source: Path, target: Path) -> None:
        if len(done) == 5:
            raise OSError(28, 'No space left on device')
        done.append(copy(source, target))

    monkeypatch.setattr(repair.shutil, 'copy2', full)
    with pytest.raises(OSError, match='No space left'):
        fixed(spoiler)
    assert [path.name for path in spoiler.folder.parent.iterdir()] == ['set']


@given(st.lists(st.floats(-0.05, 0.05), min_size=9, max_size=9), st.permutations([0, 1, 2]))
def test_an_orthonormal_affine_keeps_handedness_centre_and_lengths(noise: list[float], order: list[int]) -> None:
    affine = AFFINE.copy()
    affine[:3, :3] = (np.eye(3)[order] + np.reshape(noise, (3, 3))) * [2.0, 1.0, 3.0]
    found = orthonormal(affine, SHAPE)
    assert shear(found) < 1e-9
    assert np.sign(np.linalg.det(found[:3, :3])) == np.sign(np.linalg.det(affine[:3, :3]))
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    np.testing.assert_allclose(np.linalg.norm(found[:3, :3], axis=0), lengths)
    centre = [*((np.array(SHAPE) - 1) / 2), 1]
    np.testing.assert_allclose(found @ centre, affine @ centre, atol=1e-9)
    np.testing.assert_allclose(orthonormal(found, SHAPE), found, atol=1e-9)

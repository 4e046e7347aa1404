"""An image is known by its voxels, however it is stored; and told from every other."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medctx3d.utils.data_manifest import read_manifest, see_images, shared_images, voxel_digest, write_manifest


def volume(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1000, 3000, (7, 6, 5)).astype(np.int16)


def save(path: Path, voxels: np.ndarray, affine: np.ndarray | None = None) -> Path:
    nib.save(nib.Nifti1Image(voxels, np.diag([2.0, 1.0, 3.0, 1.0]) if affine is None else affine), path)
    return path


def test_compression_type_spacing_and_format_do_not_count(tmp_path: Path) -> None:
    voxels = volume()
    expected = voxel_digest(save(tmp_path / 'a.nii.gz', voxels))
    assert voxel_digest(save(tmp_path / 'a.nii', voxels)) == expected
    assert voxel_digest(save(tmp_path / 'b.nii.gz', voxels.astype(np.float64))) == expected
    shifted = np.array([[1.0, 0, 0, 9], [0, 1, 0, -5], [0, 0, 1, 2], [0, 0, 0, 1]])
    assert voxel_digest(save(tmp_path / 'c.nii.gz', voxels, shifted)) == expected
    image = SimpleITK.GetImageFromArray(voxels.T)
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))  # ITK's axes point left and posterior
    SimpleITK.WriteImage(image, str(tmp_path / 'd.nrrd'))
    assert voxel_digest(tmp_path / 'd.nrrd') == expected


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(3)), flips=st.tuples(*[st.sampled_from([1, -1])] * 3))
def test_the_order_and_direction_in_which_axes_are_stored_do_not_count(
    tmp_path: Path, order: list[int], flips: tuple[int, ...]
) -> None:
    voxels = volume()
    expected = voxel_digest(save(tmp_path / 'plain.nii', voxels))
    stored = voxels.transpose(order)[tuple(slice(None, None, flip) for flip in flips)]
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for axis, (source, flip) in enumerate(zip(order, flips, strict=True)):
        affine[source, axis] = flip
    assert voxel_digest(save(tmp_path / 'turned.nii', np.ascontiguousarray(stored), affine)) == expected


def test_one_voxel_or_the_shape_makes_another_image(tmp_path: Path) -> None:
    voxels = volume()
    changed = voxels.copy()
    changed[3, 2, 1] += 1
    digests = {
        voxel_digest(save(tmp_path / f'{name}.nii', one))
        for name, one in (('a', voxels), ('b', changed), ('c', voxels[:-1]), ('d', voxels.reshape(6, 7, 5)))
    }
    assert len(digests) == 4


def test_minus_zero_and_the_kinds_of_nan_are_one_value(tmp_path: Path) -> None:
    first = np.zeros((2, 2, 2), np.float32)
    second = -first
    first[0, 0, 0] = second[0, 0, 0] = np.nan
    second.view(np.uint32)[0, 0, 0] |= 1
    assert voxel_digest(save(tmp_path / 'a.nii', first)) == voxel_digest(save(tmp_path / 'b.nii', second))


def test_shared_images_are_found_by_file_and_by_voxels(tmp_path: Path) -> None:
    original = save(tmp_path / 'original.nii.gz', volume())
    copy = tmp_path / 'copy.nii.gz'
    copy.write_bytes(original.read_bytes())
    stored_anew = save(tmp_path / 'anew.nii', volume().astype(np.float32))
    other = save(tmp_path / 'other.nii', volume(1))
    seen = see_images([('one', [str(original)])])
    found = see_images([('same', [str(copy)]), ('again', [str(stored_anew)]), ('new', [str(other)])])
    shared = shared_images(seen, found)
    assert [(one.seen.case, one.found.case, one.alike) for one in shared] == [
        ('one', 'same', 'file'),
        ('one', 'again', 'voxels'),
    ]
    assert shared_images(found[2:], seen) == []


def test_a_manifest_is_read_as_it_was_written_and_names_no_folder(tmp_path: Path) -> None:
    seen = see_images([('case', [str(save(tmp_path / 'a.nii.gz', volume()))])])
    write_manifest(tmp_path / 'data_manifest.json', seen)
    assert read_manifest(tmp_path / 'data_manifest.json') == seen
    assert str(tmp_path) not in (tmp_path / 'data_manifest.json').read_text(encoding='utf-8')


@pytest.mark.parametrize('content', ['{', '[]', '{"images": [{"case": "a"}]}', '{"images": {"a": 1}}'])
def test_what_is_no_manifest_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / 'm.json').write_text(content, encoding='utf-8')
    with pytest.raises(ValueError, match=r'm\.json must (be a data manifest|list images)'):
        read_manifest(tmp_path / 'm.json')

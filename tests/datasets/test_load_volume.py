from __future__ import annotations

import os
import time
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
import torch
from dicom_files import write_series
from monai.data import MetaTensor
from monai.transforms import Compose, Orientationd, Spacingd

from medctx3d.datasets.transforms.load_volume import LoadVolume
from medctx3d.registry import TRANSFORMS
from medctx3d.utils.grid_file import write_on_grid
from medctx3d.utils.volume_file import VolumeError, read_volume

SHAPE = (8, 9, 10)
METAINFO = dict(classes=('background', 'liver', 'tumour'), channels=('CT',))
LPS = np.array([[-1.0, 0, 0, 9], [0, -2, 0, 8], [0, 0, 3, -7], [0, 0, 0, 1]])


def save(path: Path, voxels: np.ndarray, affine: np.ndarray = LPS) -> str:
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return str(path)


@pytest.fixture
def record(tmp_path: Path) -> dict:
    rng = np.random.default_rng(0)
    image = save(tmp_path / 'image.nii.gz', rng.integers(-1000, 1000, SHAPE).astype(np.int16))
    return dict(
        case='a', image=image, label=save(tmp_path / 'label.nii.gz', rng.integers(0, 3, SHAPE).astype(np.uint8))
    )


def test_voxels_types_and_geometry_arrive(record: dict) -> None:
    loaded = TRANSFORMS.build(dict(type='LoadVolume', metainfo=METAINFO))(record)
    assert isinstance(loaded['image'], MetaTensor)
    assert (loaded['image'].dtype, loaded['label'].dtype) == (torch.float32, torch.uint8)
    np.testing.assert_array_equal(loaded['image'].numpy()[0], nib.load(record['image']).get_fdata())
    np.testing.assert_array_equal(loaded['label'].numpy()[0], nib.load(record['label']).get_fdata())
    np.testing.assert_array_equal(loaded['source_affine'], LPS)
    assert loaded['source_shape'] == SHAPE
    assert loaded['source_range'] == (loaded['image'].min(), loaded['image'].max())
    np.testing.assert_array_equal(loaded['image'].affine, LPS)
    assert (loaded['case'], loaded['image_path'], loaded['label_path']) == ('a', record['image'], record['label'])


@pytest.mark.parametrize('suffix', ['.nrrd', '.mha', '.mhd', ''])
def test_a_case_in_another_format_is_the_same_case(record: dict, tmp_path: Path, suffix: str) -> None:
    other = dict(record, image=str(tmp_path / f'other{suffix}'), label=str(tmp_path / 'other_label.nrrd'))
    write_on_grid(other['label'], read_volume(record['label'])[0], like=record['label'])
    if suffix:
        SimpleITK.WriteImage(SimpleITK.ReadImage(record['image']), other['image'])
    else:
        voxels = read_volume(record['image'])[0]
        write_series(tmp_path / 'other', voxels, spacing=(1, 2, 3), origin=(-9, -8, -7))
    ours, theirs = LoadVolume(METAINFO)(record), LoadVolume(METAINFO)(other)
    for key in ('image', 'label'):
        np.testing.assert_array_equal(ours[key].numpy(), theirs[key].numpy())
    np.testing.assert_allclose(ours['image'].affine, theirs['image'].affine)


def test_the_record_stays_as_it_was(record: dict) -> None:
    before = dict(record)
    LoadVolume(METAINFO)(record)
    assert record == before


@pytest.mark.parametrize('missing', [dict(label=None), dict()])
def test_unlabelled_case_has_no_label_key(record: dict, missing: dict) -> None:
    loaded = LoadVolume(METAINFO)(dict(case='a', image=record['image'], **missing))
    assert 'label' not in loaded
    assert loaded['label_path'] is None


def test_monai_orients_and_resamples_what_was_loaded(record: dict) -> None:
    """Orientation is compared with nibabel's own reorientation."""
    keys = ['image', 'label']
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        steps = [LoadVolume(METAINFO), Orientationd(keys, axcodes='RAS', labels=None, allow_missing_keys=True)]
        loaded = Compose(steps)(record)
        closest = nib.as_closest_canonical(nib.load(record['image']))
        np.testing.assert_array_equal(loaded['image'].numpy()[0], closest.get_fdata())
        np.testing.assert_allclose(loaded['image'].affine, closest.affine)
        finer = Spacingd(keys, pixdim=(1, 1, 1), mode=('bilinear', 'nearest'))(loaded)
    assert finer['image'].shape == finer['label'].shape == (1, 8, 17, 28)
    assert finer['image_path'] == record['image']
    np.testing.assert_array_equal(loaded['source_affine'], LPS)


def test_channels_in_one_file_and_in_several_give_the_same(tmp_path: Path) -> None:
    voxels = np.random.default_rng(1).normal(size=(*SHAPE, 3)).astype(np.float32)
    metainfo = dict(channels=('FLAIR', 'T1', 'T2'))
    files = [save(tmp_path / f'{i}.nii.gz', voxels[..., i]) for i in range(3)]
    together = LoadVolume(metainfo)(dict(case='a', image=save(tmp_path / 'all.nii.gz', voxels)))
    apart = LoadVolume(metainfo)(dict(case='a', image=files))
    np.testing.assert_array_equal(together['image'], np.moveaxis(voxels, 3, 0))
    np.testing.assert_array_equal(apart['image'], together['image'])
    assert apart['image_path'] == files


def test_slope_and_intercept_reach_the_image(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.arange(720, dtype=np.int16).reshape(SHAPE), LPS)
    image.header.set_slope_inter(0.5, -100)
    nib.save(image, tmp_path / 'scaled.nii.gz')
    loaded = LoadVolume(METAINFO)(dict(case='a', image=str(tmp_path / 'scaled.nii.gz')))
    np.testing.assert_allclose(loaded['image'][0], nib.load(tmp_path / 'scaled.nii.gz').get_fdata(), rtol=1e-6)


def test_label_map_and_whole_valued_float_labels(record: dict, tmp_path: Path) -> None:
    stored = np.zeros(SHAPE, np.float32)
    stored[0], stored[1] = 4, 1
    record['label'] = save(tmp_path / 'float.nii.gz', stored)
    ids = LoadVolume(dict(METAINFO, label_map={4: 2}))(record)['label']
    assert ids.dtype == torch.uint8
    assert (int(ids[0, 0, 0, 0]), int(ids[0, 1, 0, 0]), int(ids[0, 2, 0, 0])) == (2, 1, 0)


def test_label_takes_the_affine_of_its_image(record: dict, tmp_path: Path) -> None:
    near = LPS.copy()
    near[0, 3] += 0.01
    record['label'] = save(tmp_path / 'near.nii.gz', np.ones(SHAPE, np.uint8), near)
    loaded = LoadVolume(METAINFO)(record)
    assert torch.equal(loaded['label'].affine, loaded['image'].affine)


@pytest.mark.parametrize(
    ('key', 'voxels', 'words'),
    [
        ('image', np.full(SHAPE, np.nan, np.float32), ['720 are NaN', '(0, 0, 0)']),
        ('image', np.full(SHAPE, 1e300), ['beyond float32']),
        ('image', np.zeros((8, 9, 11), np.int16), ['(8, 9, 11)', '(8, 9, 10)']),
        ('image', np.zeros((*SHAPE, 2), np.int16), ['1 channel(s) (CT)', 'it has 2']),
        ('label', np.full(SHAPE, 7, np.uint8), ['7 (720 voxels)', 'label_map']),
        ('label', np.full(SHAPE, 0.5, np.float32), ['0.5 (720 voxels)', 'nearest']),
    ],
)
def test_unusable_voxels_name_their_file(
    record: dict, tmp_path: Path, key: str, voxels: np.ndarray, words: list
) -> None:
    record[key] = save(tmp_path / 'bad.nii.gz', voxels)
    with pytest.raises(VolumeError) as error:
        LoadVolume(METAINFO)(record)
    for word in ['bad.nii.gz', *words]:
        assert word in str(error.value)


def test_label_map_outside_the_classes_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match=r'class ids 0 to 2, it has \{4: 3\}'):
        LoadVolume(dict(METAINFO, label_map={4: 3}))


@pytest.mark.parametrize('name', ['sct_t2_cord', 'sct_t2s_gm', 'pyrad_breast1'])
def test_awkward_real_files_load_and_orient(name: str) -> None:
    folder = os.environ.get('MEDCTX3D_DATA')
    if not folder:
        pytest.skip('MEDCTX3D_DATA is not set')
    files = {key: f'{folder}/tiny_fixtures/{key}s/{name}.nii.gz' for key in ('image', 'label')}
    pipeline = Compose([LoadVolume(METAINFO), Orientationd(['image', 'label'], axcodes='RAS', labels=None)])
    loaded = pipeline(dict(case=name, **files))
    assert nib.aff2axcodes(loaded['image'].affine.numpy()) == ('R', 'A', 'S')
    expected = nib.as_closest_canonical(nib.load(files['label'])).get_fdata()
    np.testing.assert_array_equal(loaded['label'].numpy()[0], expected)


def test_loading_costs_at_most_about_twice_the_bare_read(tmp_path: Path) -> None:
    """A quarter of a CT; a bound of 2.5 on the best of five leaves room for a busy machine."""
    path = save(tmp_path / 'ct.nii.gz', np.random.default_rng(0).normal(0, 20, (256, 256, 60)).astype(np.int16))
    load = LoadVolume(METAINFO)

    def best(action: object) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            action()
            times.append(time.perf_counter() - start)
        return min(times)

    bare = best(lambda: np.asarray(nib.load(path).dataobj))
    assert best(lambda: load(dict(case='a', image=path))) < 2.5 * bare

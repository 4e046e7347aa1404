"""What goes in comes out where it was: an identity network, through the tool, over everything geometry can be."""

from __future__ import annotations

import gzip
import itertools
import runpy
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
import torch
from dicom_files import write_series
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_inference import make_config

from medctx3d.apis import VolumeInferencer, init_model
from medctx3d.utils.volume_file import read_header, read_volume

INFER = Path(__file__).resolve().parents[2] / 'tools' / 'infer.py'
SHAPE = (5, 4, 6)
LABELS = np.random.default_rng(0).integers(0, 3, SHAPE).astype(np.uint8)
GEOMETRY = (slice(76, 92), slice(123, 124), slice(252, 328))  # NIfTI-1: pixdim; units; codes, quaternion, sform
ORIENTATIONS = [
    (order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)
]
STREAMED = dict(type='StreamedWindowInferer', roi_size=(4, 4, 4))
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def oriented(order: tuple, signs: tuple, spacing: tuple, angles: tuple = (0, 0, 0), shear: float = 0) -> np.ndarray:
    """An affine: axes permuted and flipped, scaled to the spacing, turned and sheared."""
    affine = np.eye(4)
    turn = nib.eulerangles.euler2mat(*angles) @ np.array([[1, shear, 0], [0, 1, 0], [0, 0, 1]])
    affine[:3, :3] = turn @ (np.eye(3)[list(order)] * signs) @ np.diag(spacing)
    affine[:3, 3] = -120.3, 88.8, 1033.1
    return affine


def save_nifti(path: Path, sform: np.ndarray, *, qform: np.ndarray | None = None, frames: int = 0) -> Path:
    voxels = (LABELS * 100).astype(np.int16).reshape(SHAPE + (1,) * frames)
    image = nib.Nifti1Image(voxels, None)
    image.header.set_qform(sform if qform is None else qform, code=1, strip_shears=True)
    image.header.set_sform(sform, code=2)
    nib.save(nib.Nifti1Image(voxels, None, image.header), path)
    return path


@pytest.fixture(scope='module')
def identity(tmp_path_factory: pytest.TempPathFactory) -> VolumeInferencer:
    """A model whose class is a hundredth of the intensity, and whose pipeline only turns to RAS."""
    config = make_config(tmp_path_factory.mktemp('identity'), inferer=STREAMED)
    config.test_dataloader.dataset.load_pipeline = config.test_dataloader.dataset.load_pipeline[:2]
    return VolumeInferencer(init_model(config, device='cpu'))


def comes_back(source: Path, result: Path) -> None:
    np.testing.assert_array_equal(np.asarray(nib.load(result).dataobj), LABELS)
    raw = [path.read_bytes() for path in (source, result)]
    for part in GEOMETRY:
        assert raw[0][part] == raw[1][part]
    np.testing.assert_array_equal(nib.load(result).affine, nib.load(source).affine)


def test_all_48_orientations_come_back_through_the_tool(tmp_path: Path) -> None:
    config = make_config(tmp_path, inferer=STREAMED)
    for loader in (config.train_dataloader, config.test_dataloader):
        loader.dataset.load_pipeline = loader.dataset.load_pipeline[:2]
    config.dump(tmp_path / 'config.py')
    torch.save(dict(state_dict=init_model(config, device='cpu').state_dict()), tmp_path / 'weights.pth')
    (tmp_path / 'scans').mkdir()
    for number, (order, signs) in enumerate(ORIENTATIONS):
        save_nifti(tmp_path / 'scans' / f'{number:02d}.nii', oriented(order, signs, (0.8, 1.7, 3.0), (0.1, 0, 0.2)))
    arguments = [tmp_path / 'config.py', tmp_path / 'weights.pth', tmp_path / 'scans', '--out', tmp_path / 'out']
    runpy.run_path(str(INFER))['main']([*map(str, arguments), '--device', 'cpu', '--format', '.nii'])
    found = sorted((tmp_path / 'out').glob('*.nii'))
    assert len(found) == 48
    for path in found:
        comes_back(tmp_path / 'scans' / path.name, path)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    orientation=st.sampled_from(ORIENTATIONS),
    spacing=st.tuples(*[st.floats(0.05, 20)] * 3),
    angles=st.tuples(*[st.floats(-0.7, 0.7)] * 3),
    shear=st.floats(-0.05, 0.05),
    conflict=st.booleans(),
    frames=st.sampled_from([0, 1]),
)
def test_any_nifti_comes_back_bit_for_bit(
    tmp_path: Path, identity: VolumeInferencer, orientation, spacing, angles, shear, conflict, frames
) -> None:
    sform = oriented(*orientation, spacing, angles, shear)
    qform = oriented(*orientation, spacing, angles[::-1]) if conflict else None
    source = save_nifti(tmp_path / 'a.nii', sform, qform=qform, frames=frames)
    identity([source], tmp_path / 'out', progress=False, overwrite=True)
    comes_back(source, _plain(tmp_path / 'out' / 'a.nii.gz'))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    orientation=st.sampled_from(ORIENTATIONS),
    spacing=st.tuples(*[st.floats(0.05, 20)] * 3),
    angles=st.tuples(*[st.floats(-0.7, 0.7)] * 3),
    suffix=st.sampled_from(['.nrrd', '.mha']),
)
def test_any_itk_file_comes_back_with_direction_origin_and_spacing(
    tmp_path: Path, identity: VolumeInferencer, orientation, spacing, angles, suffix
) -> None:
    lps = LPS @ oriented(*orientation, spacing, angles)
    image = SimpleITK.GetImageFromArray((LABELS * 100).astype(np.int16).T)
    image.SetDirection((lps[:3, :3] / np.linalg.norm(lps[:3, :3], axis=0)).ravel().tolist())
    image.SetSpacing(spacing)
    image.SetOrigin(lps[:3, 3].tolist())
    SimpleITK.WriteImage(image, str(tmp_path / f'a{suffix}'))
    identity([tmp_path / f'a{suffix}'], tmp_path / 'out', progress=False, overwrite=True)
    theirs, ours = (SimpleITK.ReadImage(str(tmp_path / folder / f'a{suffix}')) for folder in ('', 'out'))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(ours), LABELS.T)
    for geometry in ('GetDirection', 'GetOrigin', 'GetSpacing'):
        assert getattr(ours, geometry)() == getattr(theirs, geometry)()


@pytest.mark.parametrize('shear', [0.0, 0.4])
def test_a_dicom_series_comes_back_as_nifti(tmp_path: Path, identity: VolumeInferencer, shear: float) -> None:
    write_series(tmp_path / 'ct', LABELS.astype(int) * 100, shear=(0, shear, 0))
    summary = identity([tmp_path / 'ct'], tmp_path / 'out', progress=False)
    voxels, affine = read_volume(summary.written[0])
    np.testing.assert_array_equal(voxels, LABELS)
    np.testing.assert_allclose(affine, read_header(tmp_path / 'ct').affine, rtol=1e-6)


def test_a_file_without_orientation_stays_without(tmp_path: Path, identity: VolumeInferencer) -> None:
    source = save_nifti(tmp_path / 'a.nii', np.diag([0.5, 0.6, 7, 1]))
    raw = bytearray(source.read_bytes())
    struct.pack_into('<hh', raw, 252, 0, 0)
    source.write_bytes(raw)
    identity([source], tmp_path / 'out', progress=False)
    comes_back(source, _plain(tmp_path / 'out' / 'a.nii.gz'))


def _plain(path: Path) -> Path:
    """An uncompressed copy, whose header bytes can be read."""
    copy = path.with_name('plain.nii')
    copy.write_bytes(gzip.decompress(path.read_bytes()))
    return copy

"""A phantom is labelled, CT-like, and fixed by its seed."""

from __future__ import annotations

import random

import numpy as np
import pytest

from medctx3d.datasets.phantom import Noise, Phantom, Tissue, generate_phantom
from medctx3d.datasets.phantom.measures import volumes_ml

COARSE = dict(spacing=(6.0, 6.0, 6.0), extent=(360.0, 288.0, 252.0))


@pytest.fixture(scope='module')
def phantom() -> Phantom:
    return generate_phantom(3, **COARSE, enhanced=True, noise=10.0, missing=())


def test_image_label_and_affine_share_one_grid(phantom):
    assert phantom.image.shape == phantom.label.shape == phantom.tissue.shape == (60, 48, 42)
    assert (phantom.image.dtype, phantom.label.dtype) == (np.int16, np.uint8)
    np.testing.assert_allclose(np.diagonal(phantom.affine), (6, 6, 6, 1))


def test_every_organ_has_the_volume_that_was_drawn(phantom):
    volumes = volumes_ml(phantom)
    wanted = phantom.info['wanted_ml']
    assert set(np.unique(phantom.label)) == set(range(14))
    for organ in (1, 2, 3, 4, 6, 7, 11):  # vessels leave the field of view, adrenals are thinner than a voxel
        # The sinus and the coarse grid take a little; what a fine grid gives is tested below.
        assert volumes[organ] == pytest.approx(wanted[str(organ)], rel=0.12), Tissue(organ).name


def test_volumes_do_not_depend_on_the_voxel_size(phantom):
    fine = generate_phantom(3, spacing=(5.0, 5.0, 4.0), extent=(360.0, 288.0, 252.0), enhanced=True, missing=())
    big = [1, 2, 3, 6, 7]
    np.testing.assert_allclose(volumes_ml(fine)[big], volumes_ml(phantom)[big], rtol=0.08)


def test_same_seed_gives_the_same_bits_whatever_the_global_random_state(phantom):
    np.random.seed(99)
    random.seed(99)
    before = np.random.get_state()[1].copy()
    again = generate_phantom(3, **COARSE, enhanced=True, noise=10.0, missing=())
    assert again.image.tobytes() == phantom.image.tobytes()
    assert again.label.tobytes() == phantom.label.tobytes()
    assert again.info == phantom.info
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_another_seed_gives_another_patient(phantom):
    other = generate_phantom(4, **COARSE, enhanced=True, noise=10.0, missing=())
    assert (other.label != phantom.label).mean() > 0.05


def test_contrast_medium_and_noise_change_the_scan_but_not_the_patient(phantom):
    plain = generate_phantom(3, **COARSE, enhanced=False, noise=0.0, missing=())
    np.testing.assert_array_equal(plain.label, phantom.label)
    aorta, muscle = phantom.label == 8, phantom.tissue == Tissue.MUSCLE
    assert phantom.image[aorta].mean() - plain.image[aorta].mean() > 60
    assert abs(phantom.image[muscle].mean() - plain.image[muscle].mean()) < 20


def test_tissues_have_their_hounsfield_units(phantom):
    def median(tissue: Tissue) -> float:
        return float(np.median(phantom.image[phantom.tissue == tissue]))

    assert median(Tissue.AIR) == pytest.approx(-1000, abs=10)
    assert -125 < median(Tissue.FAT) < -85
    assert -900 < median(Tissue.LUNG) < -700
    assert median(Tissue.CORTICAL_BONE) > 150
    assert 80 < median(Tissue.LIVER) < 140
    assert median(Tissue.KIDNEY_R) > median(Tissue.LIVER) > median(Tissue.GALLBLADDER)


def test_liver_lies_right_and_spleen_left():
    phantom = generate_phantom(8, **COARSE, missing=())
    x = phantom.affine[0, 3] + 6.0 * np.arange(phantom.label.shape[0])
    middle = {organ: np.average(x, weights=(phantom.label == organ).sum(axis=(1, 2))) for organ in (1, 6)}
    assert middle[6] > 20
    assert middle[1] < -50


def test_missing_organs_are_not_labelled():
    phantom = generate_phantom(3, **COARSE, missing=(2, 4))
    assert {2, 4}.isdisjoint(np.unique(phantom.label))
    assert phantom.info['missing'] == [2, 4]


def test_an_organ_is_sometimes_missing_by_itself():
    from medctx3d.datasets.phantom.case import draw_patient

    drawn = [draw_patient(np.random.default_rng(k), enhanced=None, missing=None).missing for k in range(300)]
    without_gallbladder = sum(4 in missing for missing in drawn)
    without_kidney = sum(2 in missing or 3 in missing for missing in drawn)
    assert 8 <= without_gallbladder <= 45
    assert 3 <= without_kidney <= 30


@pytest.mark.parametrize('spacing', [1.0, 2.0, 5.0])
def test_noise_filter_gives_the_correlation_that_was_asked_for(spacing):
    noise = Noise(10.0, (1.8, 1.2, 3.0)).draw(np.random.default_rng(0), (48, 48, 48), (spacing,) * 3)
    assert noise.std() == pytest.approx(10, rel=0.05)
    for axis, length in enumerate((1.8, 1.2, 3.0)):
        lines = np.moveaxis(noise, axis, 0)
        measured = np.corrcoef(lines[1:].ravel(), lines[:-1].ravel())[0, 1]
        assert measured == pytest.approx(np.exp(-((spacing / length) ** 2)), abs=0.02)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(seed=-1), 'seed must be 0 or larger'),
        (dict(seed=0, spacing=(5, 5)), 'spacing must be three'),
        (dict(seed=0, spacing=(0.1, 5, 5)), 'spacing must be three'),
        (dict(seed=0, extent=(20, 280, 240)), 'extent must be three'),
        (dict(seed=0, missing=(6,)), 'missing may name'),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        generate_phantom(**arguments)

"""Generated anatomy passes the checks, and the checks notice wrong anatomy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from medctx3d.datasets.phantom import Finding, Noise, Phantom, generate_phantom
from medctx3d.datasets.phantom.checks import (
    check_contacts,
    check_pieces,
    check_places,
    check_shape,
    check_surface,
    check_volumes,
)
from medctx3d.datasets.phantom.checks_image import check_composition, check_edge, check_noise
from medctx3d.datasets.phantom.finding import summarise
from medctx3d.datasets.phantom.population import check_population

SCAN = dict(spacing=(5.0, 5.0, 5.0), extent=(384.0, 300.0, 300.0), enhanced=False, missing=())


@pytest.fixture(scope='module')
def phantoms() -> list[Phantom]:
    return [generate_phantom(seed, **SCAN, noise=12.0) for seed in (21, 22, 23)]


def failed(findings: list[Finding]) -> set[str]:
    return {finding.name for finding in findings if not finding.passed}


@pytest.mark.parametrize('check', [check_places, check_pieces])
def test_no_phantom_breaks_a_rule_of_place_or_piece(phantoms, check):
    assert [failed(check(phantom)) for phantom in phantoms] == [set(), set(), set()]


@pytest.mark.parametrize('check', [check_volumes, check_contacts, check_shape])
def test_nine_of_ten_measurements_lie_within_their_limits(phantoms, check):
    findings = [finding for phantom in phantoms for finding in check(phantom)]
    assert sum(finding.passed for finding in findings) >= 0.9 * len(findings)


def test_phantoms_consist_of_what_patients_consist_of(phantoms):
    # The limits come from very few patients: single phantoms, thin or fat, leave them; their mean must not.
    for line in summarise([check_composition(phantom) for phantom in phantoms]):
        assert line.low <= line.mean <= line.high, line


def test_liver_and_spleen_lie_at_the_wall_and_kidneys_deep(phantoms):
    lines = {line.name: line for line in summarise([check_surface(phantom) for phantom in phantoms])}
    assert 30 < lines['surface of LIVER near skin or lung, %'].mean < 70
    assert 30 < lines['surface of SPLEEN near skin or lung, %'].mean < 75
    assert lines['skin to KIDNEY_L, mm'].mean > 40


def test_noise_is_what_was_asked_for(phantoms):
    clean = generate_phantom(21, **SCAN, noise=0.0)
    assert not failed(check_noise(phantoms[0], clean, Noise(12.0)))
    assert 'noise in the liver, HU' in failed(check_noise(phantoms[0], clean, Noise(15.0)))


def test_edge_of_known_blur_is_measured():
    x, y = np.meshgrid(np.arange(160), np.arange(160), indexing='ij')
    inside = ndtr((35 - np.hypot(x - 80, y - 80) * 0.8) / 1.2)  # a disc of 35 mm blurred by 1.2 mm
    image = np.repeat((-100 + 200 * inside)[:, :, None], 8, axis=2)
    label = np.where(image > 0, 6, 0).astype(np.uint8)
    tissue = np.where(image > 0, 6, 22).astype(np.uint8)
    disc = Phantom(image, label, np.diag([0.8, 0.8, 3.0, 1.0]), tissue, {})
    (finding,) = check_edge(disc, blur=1.2)
    assert finding.value == pytest.approx(2.355 * 1.2, rel=0.08)
    assert finding.passed
    assert not check_edge(disc, blur=2.2)[0].passed


def test_mirrored_anatomy_is_noticed(phantoms):
    mirrored = phantoms[0]._replace(label=phantoms[0].label[::-1].copy())
    names = failed(check_places(mirrored))
    assert {'LIVER right of STOMACH, mm', 'KIDNEY_R right of KIDNEY_L, mm'} <= names
    assert 'IVC right of AORTA in the worst slice, mm' in names


def test_loose_piece_wrong_volume_and_bone_are_noticed(phantoms):
    label = phantoms[0].label.copy()
    label[3:7, 3:7, 3:7] = 1
    tissue = phantoms[0].tissue.copy()
    tissue[label == 6] = 25
    broken = phantoms[0]._replace(label=label, tissue=tissue)
    assert {'pieces of SPLEEN', 'voxels inside organs whose tissue is bone'} <= failed(check_pieces(broken))
    label[label == 3] = 2
    assert 'volume of KIDNEY_R, mL' in failed(check_volumes(broken))


def test_missing_and_forbidden_contact_is_noticed(phantoms):
    label = phantoms[0].label.copy()
    label[label == 10] = 6
    label[label == 9] = 8
    names = failed(check_contacts(phantoms[0]._replace(label=label)))
    assert 'AORTA stays off LIVER, voxel faces' in names


def test_summary_counts_patients_and_compares_mean_volumes():
    groups = [
        [Finding(2, 'a', value, 0, 1), Finding(0, 'SPLEEN', 200 + value, 0, np.inf)] for value in (0.0, 1.0, 5.0)
    ]
    lines = {line.name: line for line in check_population(groups)}
    assert (lines['a'].passed, lines['a'].total, lines['a'].mean, lines['a'].extremes) == (2, 3, 2.0, (0.0, 5.0))
    assert lines['mean volume of SPLEEN, mL'].passed == 1
    assert 'SPLEEN' not in lines

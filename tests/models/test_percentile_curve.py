"""The random curve through two percentiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medctx3d.models.views import PercentileCurve


def test_the_curve_is_piecewise_linear_through_the_percentiles():
    torch.manual_seed(0)
    volumes = torch.randn(2, 2, 11, 9, 7) * torch.tensor([1.0, 50.0]).view(1, 2, 1, 1, 1)
    found = PercentileCurve(low=(2, 2), high=(98, 98), gamma=(1, 1))(volumes)
    for volume, answer in zip(volumes.flatten(0, 1), found.flatten(0, 1), strict=True):
        voxels = volume.numpy().ravel()
        marks = np.percentile(voxels, [0, 2, 98, 100], method='nearest')
        expected = np.interp(voxels, marks, [0, 0.1, 0.9, 1])
        assert np.allclose(answer.numpy().ravel(), expected, atol=1e-5)


def test_the_power_comes_last_and_draws_differ_between_volumes():
    volume = torch.rand(1, 1, 8, 8, 8)
    plain = PercentileCurve(low=(1, 1), high=(99, 99), gamma=(1, 1))(volume)
    assert torch.allclose(PercentileCurve(low=(1, 1), high=(99, 99), gamma=(2, 2))(volume), plain**2)
    torch.manual_seed(0)
    one, other = PercentileCurve()(volume.expand(2, -1, -1, -1, -1))
    assert not torch.equal(one, other)
    torch.manual_seed(0)
    assert torch.equal(PercentileCurve()(volume)[0], one)


def test_a_volume_of_one_intensity_stays_finite():
    assert PercentileCurve()(torch.full((1, 1, 4, 4, 4), 3.0)).isfinite().all()


@pytest.mark.parametrize('wrong', [dict(low=(3, 1)), dict(low=(1, 99)), dict(high=(98, 101)), dict(gamma=(0, 1))])
def test_ranges_that_are_none_are_refused(wrong):
    with pytest.raises(ValueError, match='PercentileCurve: '):
        PercentileCurve(**wrong)

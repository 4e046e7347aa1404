"""Random views keep their geometry; intensities change in units of the volume."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medctx3d.models.views import IntensityJitter, RandomViews


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10000), st.sampled_from([(1.0, 1.0), (0.5, 1.5)]))
def test_a_view_shows_the_voxels_that_its_placement_names(seed, zoom):
    torch.manual_seed(seed)
    shape = (9, 8, 7)
    ids = torch.arange(9 * 8 * 7).view(1, 1, *shape).expand(2, -1, -1, -1, -1)
    placement = RandomViews((4, 5, 4), zoom=zoom)(2, shape)
    views = placement.cut(ids, labels=True)
    assert views.shape == (2, 1, 4, 5, 4)
    assert views.dtype == ids.dtype
    for view, start, side, flips in zip(views, placement.starts, placement.sides, placement.flips, strict=True):
        unflipped = view.flip([axis + 1 for axis in flips]) if flips else view
        for index in ((0, 0, 0), (3, 4, 3), (1, 2, 2)):
            source = [
                s + int((i + 0.5) * edge / n) for s, i, edge, n in zip(start, index, side, (4, 5, 4), strict=True)
            ]
            assert unflipped[0][index] == ids[0, 0, source[0], source[1], source[2]]


def test_images_and_labels_follow_the_same_placement():
    torch.manual_seed(0)
    blocks = torch.zeros(1, 1, 16, 16, 16)
    blocks[..., 6:12, 3:9, 4:12] = 1
    placement = RandomViews((8, 8, 8), zoom=(1.4, 1.6))(1, (16, 16, 16))
    image, labels = placement.cut(blocks), placement.cut(blocks.long(), labels=True)
    assert ((image > 0.5).long() != labels).float().mean() < 0.12  # edges alone differ


def test_an_axis_that_is_left_out_is_never_mirrored():
    torch.manual_seed(0)
    flips = RandomViews((2, 2, 2), flip_axes=(1, 2))(200, (4, 4, 4)).flips
    assert {axis for axes in flips for axis in axes} == {1, 2}


def test_a_view_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r'\(8, 8, 8\) voxels .* do not fit into crops of \(8, 8, 6\)'):
        RandomViews((8, 8, 8))(1, (8, 8, 6))


def test_jitter_means_the_same_in_every_unit():
    """A volume in other units comes out in those units."""
    volume = torch.rand(2, 1, 6, 6, 6)
    torch.manual_seed(1)
    plain = IntensityJitter()(volume)
    torch.manual_seed(1)
    torch.testing.assert_close(IntensityJitter()(volume * 400 - 1000), plain * 400 - 1000, rtol=1e-3, atol=1e-2)


def test_jitter_of_nothing_leaves_the_volume_and_each_volume_gets_its_own():
    volume = torch.rand(1, 1, 6, 6, 6).expand(2, -1, -1, -1, -1)
    nothing = IntensityJitter(gamma=(1.0, 1.0), contrast=0, brightness=0, noise=0)
    torch.testing.assert_close(nothing(volume), volume)
    first, second = IntensityJitter(noise=0)(volume)
    assert not torch.allclose(first, second)


def test_a_constant_volume_stays_finite():
    assert IntensityJitter()(torch.full((1, 1, 4, 4, 4), 3.0)).isfinite().all()


@pytest.mark.parametrize('wrong', [dict(gamma=(2.0, 1.0)), dict(gamma=(0.0, 1.0)), dict(noise=-1.0)])
def test_jitter_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match='IntensityJitter'):
        IntensityJitter(**wrong)


@pytest.mark.parametrize('wrong', [dict(size=(0, 1, 1)), dict(zoom=(0, 1)), dict(zoom=(2, 1)), dict(flip_axes=(3,))])
def test_views_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match='RandomViews'):
        RandomViews(**(dict(size=(4, 4, 4)) | wrong))

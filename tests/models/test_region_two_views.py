"""The guards of the contrast of regions where the two views cover other voxels, against a brute force."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_region_contrast_loss import by_loops, features, rows

from medctx3d.models.losses import RegionContrastLoss

SIDES = (6, 6, 4)
MARGIN = 1e-4  # closer to a threshold than this, single precision may decide otherwise


def scene(seed):
    """Two views, each with a map of shared ids (some on one alone), and intensities; some regions leaked."""
    generator = torch.Generator().manual_seed(seed)
    views = []
    for _ in range(2):
        coarse = torch.randint(0, 7, (2, 1, 3, 3, 2), generator=generator)
        regions = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4).int()
        grey = torch.rand(8, generator=generator)[coarse.flatten()].view_as(coarse).repeat_interleave(2, 2)
        grey = grey.repeat_interleave(2, 3).repeat_interleave(2, 4)
        spread = (torch.rand(8, generator=generator) < 0.3).float()[regions.long()]
        noise = torch.randn(regions.shape, generator=generator)
        views += [regions, grey + noise * (0.02 + 0.5 * spread)]
    return views


def facts(regions, grey, least, most):
    """Mean of every region, the large enough and whole ones, the leaked ones, and pairs with a common face."""
    ids = [int(i) for i in regions.unique() if i > 0]
    means = {i: grey[regions == i].double().mean().item() for i in ids}
    spreads = {i: grey[regions == i].double().std(correction=0).item() for i in ids}
    if most is not None:
        assume(all(abs(spread - most) > MARGIN for spread in spreads.values()))
    leaked = {i for i in ids if most is not None and spreads[i] > most}
    whole = {i for i in ids if (regions == i).sum() >= least} - leaked
    touching = set()
    for axis in (1, 2, 3):
        low, high = (regions.narrow(axis, start, regions.shape[axis] - 1).flatten().tolist() for start in (0, 1))
        touching |= set(zip(low, high, strict=True)) | set(zip(high, low, strict=True))
    return means, whole, leaked, touching


@pytest.mark.parametrize('spare', ['none', 'similar', 'adjacent'])
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**20), most=st.sampled_from([None, 0.3]), least=st.sampled_from([1, 12]))
def test_the_regions_and_negatives_that_count_are_those_of_a_brute_force(spare, seed, most, least):
    mine, grey, theirs, other_grey = scene(seed)
    below = 0.0 if spare == 'none' else 0.25
    loss = RegionContrastLoss(
        max_regions=20,
        anchors=3,
        negatives=300,
        min_voxels=least,
        max_deviation=most,
        spare=spare,
        spare_below=below,
    )
    torch.manual_seed(seed)
    draw = loss.draw(mine, other_regions=theirs, intensities=grey, other_intensities=other_grey)
    for n in range(2):
        means, whole, _, _ = facts(mine[n], grey[n], least, most)
        their_means, their_whole, their_leaked, touching = facts(theirs[n], other_grey[n], least, most)

        def counts(one, other, means=means, their_means=their_means, touching=touching):
            difference = abs(means[one] - their_means[other])
            assume(abs(difference - below) > MARGIN)
            close = spare == 'similar' or (spare == 'adjacent' and (one, other) in touching)
            return not (close and difference < below)

        wanted = {
            one: {other: counts(one, other) for other in their_whole - {one}}
            for one in (whole & set(their_means)) - their_leaked
        }
        found = {}
        here, there = mine[n].flatten(), theirs[n].flatten()
        for r in draw.valid[n].nonzero().flatten().tolist():
            (region,) = set(here[draw.anchors[n, r]].tolist())
            assert set(there[draw.positives[n, r]].tolist()) == {region}
            pairs = zip(there[draw.negatives[n, r]].tolist(), draw.kept[n, r].tolist(), strict=True)
            found[region] = set(pairs)
        assert found == {one: set(others.items()) for one, others in wanted.items() if any(others.values())}


@pytest.mark.parametrize('spare', ['none', 'similar', 'adjacent'])
def test_the_loss_of_two_views_is_its_definition_on_the_drawn_voxels(spare):
    mine, grey, theirs, other_grey = scene(7)
    loss = RegionContrastLoss(
        max_regions=6,
        anchors=2,
        negatives=9,
        min_voxels=2,
        max_deviation=0.3,
        spare=spare,
        spare_below=0.25 if spare != 'none' else 0.0,
    )
    maps = dict(other_regions=theirs, intensities=grey, other_intensities=other_grey)
    own, other = features(2, 5, *SIDES), features(2, 5, *SIDES, seed=1)
    torch.manual_seed(0)
    value = loss(own, mine, other=other, **maps)
    torch.manual_seed(0)
    draw = loss.draw(mine, **maps)
    taken = [rows(own, draw.anchors), rows(other, draw.positives), rows(other, draw.negatives)]
    assert draw.valid.any()
    assert draw.kept[draw.valid].all() == (spare == 'none')
    assert value.item() == pytest.approx(by_loops(*taken, draw.kept, draw.valid, loss.temperature), rel=1e-5)


def test_a_region_that_leaked_on_the_other_view_alone_takes_no_part():
    mine = torch.arange(1, 4).repeat_interleave(4).int().expand(1, 1, 4, 4, 12).clone()
    grey = mine.float()
    other = grey.clone()
    other[..., 4:8] += torch.arange(4) * 2.0
    draw = RegionContrastLoss(max_deviation=0.5).draw(
        mine, other_regions=mine.clone(), intensities=grey, other_intensities=other
    )
    for voxels in (draw.anchors, draw.positives, draw.negatives):
        assert set(mine.flatten()[voxels[draw.valid]].unique().tolist()) == {1, 3}

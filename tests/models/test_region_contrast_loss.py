"""The contrast of regions, against its definition in plain loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from medctx3d.models.losses import RegionContrastLoss
from medctx3d.models.losses.region_contrast_loss import region_info_nce, to_grid
from medctx3d.models.losses.region_index import index_regions, neighbours


def blocks(count=2, size=8, edge=4):
    """Maps (N, 1, s, s, s) of cubes, numbered from 1."""
    axis = torch.arange(size) // edge
    side = size // edge
    ids = 1 + (axis[:, None, None] * side + axis[:, None]) * side + axis
    return ids.int().expand(count, 1, size, size, size).clone()


def features(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def by_loops(anchors, positives, negatives, kept, valid, temperature):
    """B.3 of the definition, one anchor at a time, in double precision."""
    regions = []
    for n in range(len(anchors)):
        for r in range(anchors.shape[1]):
            if not valid[n, r]:
                continue
            terms = []
            for k in range(anchors.shape[2]):
                unit = F.normalize(anchors[n, r, k].double(), dim=0)
                right = math.exp(unit @ F.normalize(positives[n, r, k].double(), dim=0) / temperature)
                wrong = sum(
                    math.exp(unit @ F.normalize(other.double(), dim=0) / temperature)
                    for other, counts in zip(negatives[n, r], kept[n, r], strict=True)
                    if counts
                )
                terms.append(-math.log(right / (right + wrong)))
            regions.append(sum(terms) / len(terms))
    return sum(regions) / len(regions)


def rows(maps, voxels):
    return torch.stack([one.flatten(1).T[index] for one, index in zip(maps, voxels, strict=True)])


@pytest.mark.parametrize('spare', ['none', 'similar', 'adjacent'])
def test_the_loss_is_its_definition_on_the_drawn_voxels(spare):
    torch.manual_seed(0)
    loss = RegionContrastLoss(
        max_regions=5, anchors=3, negatives=7, spare=spare, spare_below=0.3 if spare != 'none' else 0.0
    )
    own, other, grey = features(2, 6, 8, 8, 8), features(2, 6, 8, 8, 8, seed=1), features(2, 1, 8, 8, 8, seed=2)
    draw = loss.draw(blocks(), intensities=grey)
    wanted = by_loops(
        rows(own, draw.anchors),
        rows(other, draw.positives),
        rows(other, draw.negatives),
        draw.kept,
        draw.valid,
        loss.temperature,
    )
    assert loss.compare(own, draw, other=other).item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize('negatives', [1, 16, 256])
def test_equal_features_cost_the_logarithm_of_one_plus_negatives(negatives):
    same = torch.ones(2, 4, 8, 8, 8)
    value = RegionContrastLoss(negatives=negatives)(same, blocks(), other=same)
    assert value.item() == pytest.approx(math.log(1 + negatives), rel=1e-6)


def test_perfect_regions_cost_what_orthogonal_vectors_cost():
    ids = blocks()
    perfect = F.one_hot(ids[:, 0].long(), 9).movedim(-1, 1).float()
    value = RegionContrastLoss(negatives=16, temperature=0.5)(perfect, ids, other=perfect)
    assert value.item() == pytest.approx(math.log(1 + 16 * math.exp(-2)), rel=1e-5)


def test_anchors_and_positives_lie_in_the_region_and_negatives_outside():
    torch.manual_seed(1)
    ids = blocks()
    ids[0, 0, :4] = 0
    draw = RegionContrastLoss(max_regions=8, anchors=4, negatives=32).draw(ids)
    flat = ids.flatten(1)
    at = [flat.gather(1, index.flatten(1)).view_as(index) for index in draw[:3]]
    assert draw.valid.sum(dim=1).tolist() == [4, 8]
    for n, r in draw.valid.nonzero().tolist():
        region = at[0][n, r, 0]
        assert region > 0
        assert (at[0][n, r] == region).all()
        assert (at[1][n, r] == region).all()
        assert (at[2][n, r] != region).all()
        assert (at[2][n, r] > 0).all()
    assert (draw.positives != draw.anchors)[draw.valid].all()  # another voxel of the region
    chosen = at[0][1, draw.valid[1], 0]
    assert chosen.unique().numel() == 8  # no region twice


def test_regions_are_drawn_evenly_whatever_their_size():
    torch.manual_seed(0)
    ids = torch.ones(1, 1, 8, 8, 8).int()
    ids[..., 0, 0, :2] = 2  # two voxels against 508
    ids[..., 7, 7, :2] = 3
    loss = RegionContrastLoss(max_regions=1, anchors=1, negatives=64, min_voxels=2)
    seen, others = torch.zeros(4), torch.zeros(4)
    for _ in range(300):
        draw = loss.draw(ids)
        seen[ids.flatten()[draw.anchors.flatten()].long()] += 1
        others += torch.bincount(ids.flatten()[draw.negatives.flatten()].long(), minlength=4)
    assert (seen[1:] / 300 - 1 / 3).abs().max() < 0.1
    assert (others[1:] / others.sum() - 1 / 3).abs().max() < 0.08


def test_names_of_regions_and_lengths_of_features_mean_nothing():
    ids, own = blocks(), features(2, 6, 8, 8, 8)
    means = F.one_hot(ids[:, 0].long(), 9).movedim(-1, 1).float()  # constant in a region: the draw within is no matter
    own = means + 0.2 * means.roll(1, 1)
    loss = RegionContrastLoss(max_regions=8, negatives=512)
    renamed = (torch.randperm(8, generator=torch.Generator().manual_seed(0)) * 1000 + 17).int()[ids.long() - 1]

    def value(maps, vectors):
        torch.manual_seed(0)
        return loss(vectors, maps, other=vectors).item()

    assert value(renamed, own) == pytest.approx(value(ids, own), rel=0.02)
    assert value(ids, own * torch.rand(2, 1, 8, 8, 8) * 50 + 0) == pytest.approx(value(ids, own), rel=1e-4)


def test_only_the_student_gets_gradients_from_two_views():
    own, other = features(2, 6, 8, 8, 8).requires_grad_(), features(2, 6, 8, 8, 8, seed=1).requires_grad_()
    RegionContrastLoss()(own, blocks(), other=other).backward()
    assert own.grad.abs().sum() > 0
    assert other.grad is None


def test_projecting_drawn_rows_is_convolving_the_map():
    torch.manual_seed(0)
    linear = torch.nn.Linear(6, 5)
    own = features(2, 6, 8, 8, 8)
    loss = RegionContrastLoss()
    draw = loss.draw(blocks())
    convolved = F.conv3d(own, linear.weight[..., None, None, None], linear.bias)
    assert loss.compare(own, draw, project=linear).item() == pytest.approx(
        loss.compare(convolved, draw).item(), rel=1e-5
    )


def test_similar_regions_are_spared_everywhere_and_adjacent_ones_only_where_they_touch():
    ids = torch.arange(1, 5).repeat_interleave(4).int().expand(1, 1, 4, 4, 16).clone()  # four slabs in a row
    grey = torch.tensor([0.0, 0.01, 0.0, 1.0]).repeat_interleave(4).expand(1, 1, 4, 4, 16)
    kept = {}
    for spare in ('similar', 'adjacent'):
        torch.manual_seed(0)
        loss = RegionContrastLoss(max_regions=4, negatives=200, spare=spare, spare_below=0.05)
        draw = loss.draw(ids, intensities=grey)
        region = ids.flatten()[draw.anchors[0, :, 0]]
        negative = ids.flatten()[draw.negatives[0]]
        pairs = torch.stack([region[:, None].expand_as(negative), negative], dim=-1)
        kept[spare] = set(map(tuple, pairs[draw.kept[0]].tolist()))
    far = {(a, 4) for a in (1, 2, 3)} | {(4, a) for a in (1, 2, 3)}
    assert kept['similar'] == far
    assert kept['adjacent'] == far | {(1, 3), (3, 1)}  # alike, but not touching


def test_a_region_that_leaked_takes_no_part():
    grey = features(2, 1, 8, 8, 8) * 0.01
    ids = blocks()
    grey[ids == 3] += features(2 * 64) * 5
    draw = RegionContrastLoss(max_regions=8, max_deviation=0.5).draw(ids, intensities=grey)
    for voxels in (draw.anchors[draw.valid], draw.negatives[draw.valid]):
        assert 3 not in ids[0].flatten()[voxels.flatten()]
    assert draw.valid.sum(dim=1).tolist() == [7, 7]


def test_small_regions_take_no_part():
    ids = blocks()
    ids[:, :, 0, 0, :3] = 77
    assert RegionContrastLoss(max_regions=9, min_voxels=4).draw(ids).valid.sum(dim=1).tolist() == [8, 8]
    assert RegionContrastLoss(max_regions=9, min_voxels=3).draw(ids).valid.sum(dim=1).tolist() == [9, 9]


@pytest.mark.parametrize('ids', [torch.zeros(1, 1, 4, 4, 4).int(), torch.ones(1, 1, 4, 4, 4).int()])
def test_without_two_regions_the_loss_is_zero_and_still_has_a_gradient(ids):
    own = features(1, 3, 4, 4, 4).requires_grad_()
    value = RegionContrastLoss()(own, ids)
    value.backward()
    assert value.item() == 0
    assert (own.grad == 0).all()


def test_views_of_different_places_share_regions_by_their_ids():
    torch.manual_seed(0)
    whole = blocks(1, 12, 4)
    mine, theirs = whole[..., :8].contiguous(), whole[..., 4:].flip(4).contiguous()
    draw = RegionContrastLoss(max_regions=50, negatives=32).draw(mine, other_regions=theirs)
    region = mine.flatten()[draw.anchors]
    assert (theirs.flatten()[draw.positives] == region)[draw.valid].all()
    assert (theirs.flatten()[draw.negatives] != region[..., :1])[draw.valid].all()
    shared = set(mine.unique().tolist()) & set(theirs.unique().tolist())
    assert set(region[..., 0][draw.valid].tolist()) == shared
    assert len(shared) == 9


def test_a_prototype_is_the_mean_of_unit_vectors_and_corresponding_the_same_voxel():
    loss = RegionContrastLoss(positive='corresponding')
    draw = loss.draw(blocks())
    assert torch.equal(draw.anchors, draw.positives)
    own, other = features(2, 6, 8, 8, 8), features(2, 6, 8, 8, 8, seed=1)
    prototype = RegionContrastLoss(positive='prototype', max_regions=3, anchors=4, negatives=5)
    draw = prototype.draw(blocks())
    means = F.normalize(rows(other, draw.positives), dim=-1).mean(dim=2, keepdim=True)
    wanted = region_info_nce(
        rows(own, draw.anchors),
        means,
        rows(other, draw.negatives),
        kept=draw.kept,
        valid=draw.valid,
        temperature=prototype.temperature,
    )
    assert prototype.compare(own, draw, other=other).item() == pytest.approx(wanted.item(), rel=1e-6)


def test_half_precision_is_computed_in_fp32():
    own = features(2, 6, 8, 8, 8)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        torch.manual_seed(0)
        value = RegionContrastLoss(temperature=0.05)(own.bfloat16(), blocks())
    torch.manual_seed(0)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(RegionContrastLoss(temperature=0.05)(own.bfloat16().float(), blocks()).item())


def test_a_coarser_grid_takes_the_nearest_ids_exactly():
    ids = torch.arange(2**25, 2**25 + 8**3).view(1, 1, 8, 8, 8).int()  # beyond what float32 can tell apart
    coarse = to_grid(ids, (2, 4, 8))
    assert coarse.shape == (1, 1, 2, 4, 8)
    assert torch.equal(coarse[0, 0], ids[0, 0, 2::4, 1::2])
    assert RegionContrastLoss(min_voxels=1)(features(2, 3, 4, 4, 4), blocks()).isfinite()


def test_the_index_knows_members_means_and_neighbours():
    ids, grey = blocks(1), features(1, 1, 8, 8, 8)
    index = index_regions(ids, grey)
    for slot in range(8):
        region = int(index.slot_ids[0, slot])
        start, count = int(index.first[0, slot]), int(index.counts[0, slot])
        members = index.order[0, start : start + count]
        assert (ids.flatten()[members] == region).all()
        assert count == (ids == region).sum()
        assert index.means[0, slot].item() == pytest.approx(grey[ids == region].mean().item(), abs=1e-5)
    places = ids[:, 0].long() - 1
    touching = neighbours(places, places, (8, 8))[0]
    cube = torch.tensor([[int(i), int(j), int(k)] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    assert torch.equal(touching, (torch.cdist(cube.float(), cube.float(), p=1) <= 1))


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (dict(positive='mean'), 'positive must be one of'),
        (dict(spare='all'), 'spare must be one of'),
        (dict(negatives=0), 'negatives must be at least 1'),
        (dict(temperature=0.0), 'temperature and max_deviation'),
        (dict(spare='similar'), 'spare needs spare_below'),
        (dict(spare_below=0.1), 'spare needs spare_below'),
    ],
)
def test_wrong_arguments_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        RegionContrastLoss(**arguments)


def test_options_that_need_more_say_what():
    with pytest.raises(ValueError, match='give intensities='):
        RegionContrastLoss(spare='similar', spare_below=0.1)(features(1, 2, 8, 8, 8), blocks(1))
    with pytest.raises(ValueError, match='needs a second view of the same voxels'):
        RegionContrastLoss(positive='corresponding')(features(1, 2, 8, 8, 8), blocks(1))

"""The three published samplings of Volume Fusion, against maps painted voxel by voxel."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medctx3d.models.preprocessors.level_maps import (
    SAMPLINGS,
    BoxSampling,
    GridSampling,
    build_sampling,
    draw_levels,
)

SIZES = st.tuples(*(st.integers(13, 24),) * 3)
SEEDS = st.integers(0, 2**31)
CPU = torch.device('cpu')


def drawn(sampling, size, num_levels=4, count=1, seed=0):
    torch.manual_seed(seed)
    return draw_levels(sampling, num_levels, count=count, size=size, device=CPU)


def integer(low, high):
    return int(torch.randint(low, high + 1, ()))


def painted_boxes(size, num_levels, seed, *, count, smallest, largest, lowest):
    """Boxes in the order they are drawn, each voxel asked by itself."""
    torch.manual_seed(seed)
    levels = torch.zeros(size, dtype=torch.uint8)
    for _ in range(integer(*count)):
        box = []
        for side in size:
            edge = integer(smallest, math.floor(largest * side))
            start = integer(0, side - edge)
            box.append((start, start + edge))
        level = integer(lowest, num_levels)
        for place in itertools.product(*map(range, size)):
            if all(start <= at < stop for at, (start, stop) in zip(place, box, strict=True)):
                levels[place] = level
    return levels


def painted_grid(size, num_levels, seed, *, cell, share):
    """Cells of one size behind an offset, each voxel asked for its cell."""
    torch.manual_seed(seed)
    edges = [integer(cell[0], min(cell[1], side)) for side in size]
    counts = [side // edge for side, edge in zip(size, edges, strict=True)]
    starts = [integer(0, side % edge) for side, edge in zip(size, edges, strict=True)]
    cells = math.prod(counts)
    level_of = torch.randint(1, num_levels + 1, (cells,), dtype=torch.uint8).tolist()
    for cell_id in torch.randperm(cells).tolist()[int(share * cells) :]:
        level_of[cell_id] = 0
    levels = torch.zeros(size, dtype=torch.uint8)
    for place in itertools.product(*map(range, size)):
        x, y, z = (math.floor((at - start) / edge) for at, start, edge in zip(place, starts, edges, strict=True))
        if all(0 <= index < n for index, n in zip((x, y, z), counts, strict=True)):
            levels[place] = level_of[(x * counts[1] + y) * counts[2] + z]
    return levels


@settings(max_examples=6, deadline=None)
@given(size=st.tuples(*(st.integers(8, 12),) * 3), seed=SEEDS, erase=st.booleans(), num_levels=st.integers(1, 6))
def test_boxes_are_painted_in_sequence(size, seed, erase, num_levels):
    sampling = BoxSampling((1, 6), smallest=3, largest=0.625, erase=erase)
    oracle = painted_boxes(size, num_levels, seed, count=(1, 6), smallest=3, largest=0.625, lowest=0 if erase else 1)
    assert torch.equal(drawn(sampling, size, num_levels, seed=seed)[0, 0], oracle)


@settings(max_examples=15, deadline=None)
@given(size=st.tuples(*(st.integers(6, 14),) * 3), seed=SEEDS, num_levels=st.integers(1, 6))
def test_cells_fill_a_regular_grid_behind_an_offset(size, seed, num_levels):
    sampling = GridSampling((2, 6), share=0.7)
    oracle = painted_grid(size, num_levels, seed, cell=(2, 6), share=0.7)
    assert torch.equal(drawn(sampling, size, num_levels, seed=seed)[0, 0], oracle)


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(sorted(SAMPLINGS)), size=SIZES, seed=SEEDS, num_levels=st.integers(1, 9))
def test_every_sampling_draws_whole_levels_from_0_to_k_of_its_own_for_each_volume(name, size, seed, num_levels):
    levels = drawn(build_sampling(name), size, num_levels, count=2, seed=seed)
    assert levels.shape == (2, 1, *size)
    assert levels.dtype == torch.uint8
    assert int(levels.max()) <= num_levels
    assert torch.equal(levels, drawn(build_sampling(name), size, num_levels, count=2, seed=seed))


@pytest.mark.parametrize('name', sorted(SAMPLINGS))
def test_all_levels_come_and_volumes_and_seeds_differ(name):
    levels = drawn(build_sampling(name), (64, 64, 32), count=4)
    assert levels.unique().tolist() == [0, 1, 2, 3, 4]
    assert not torch.equal(levels[0], levels[1])
    assert not torch.equal(levels, drawn(build_sampling(name), (64, 64, 32), count=4, seed=1))


def test_the_paper_and_nnssl_differ_in_the_number_of_boxes_and_in_erasing():
    paper, nnssl = build_sampling('paper_boxes'), build_sampling('nnssl_boxes')
    assert (paper.count, paper.erase) == ((10, 40), False)
    assert (nnssl.count, nnssl.erase) == ((10, 39), True)
    assert [math.floor(paper.largest * side) for side in (128, 128, 64)] == [80, 80, 40]  # the published crop
    assert math.floor(nnssl.largest * 160) == 100
    once = dict(count=(1, 1), smallest=8, largest=1.0)
    assert all(drawn(BoxSampling(**once), (8, 8, 8), 2, seed=seed).min() > 0 for seed in range(20))
    erased = [int(drawn(BoxSampling(**once, erase=True), (8, 8, 8), 2, seed=seed).max()) for seed in range(20)]
    assert set(erased) == {0, 1, 2}


def test_boxes_and_cells_keep_to_their_sizes():
    one = BoxSampling((1, 1), smallest=(3, 4, 5), largest=0.5)
    for seed in range(30):
        places = drawn(one, (16, 16, 16), seed=seed)[0, 0].nonzero()
        edges = (places.amax(0) - places.amin(0) + 1).tolist()
        assert all(low <= edge <= 8 for low, edge in zip((3, 4, 5), edges, strict=True))
    full = drawn(GridSampling((8, 8), share=0.7), (64, 64, 32))[0, 0]
    cells = full.view(8, 8, 8, 8, 4, 8).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(0, 2)
    assert (cells == cells[:, :1]).all()  # one level a cell
    assert int((cells[:, 0] > 0).sum()) == int(0.7 * 256)


@pytest.mark.parametrize('name', sorted(SAMPLINGS))
def test_numbers_of_a_published_sampling_can_be_replaced(name):
    changed = dict(paper_boxes=dict(smallest=2), nnssl_boxes=dict(count=(3, 4)), pymic_grid=dict(share=0.5))[name]
    sampling = build_sampling(dict(name=name, **changed))
    ((key, value),) = changed.items()
    assert getattr(sampling, key) in (value, (value,) * 3)


@pytest.mark.parametrize(
    ('sampling', 'error', 'message'),
    [
        ('boxes', ValueError, "one of 'paper_boxes', 'pymic_grid', 'nnssl_boxes', got 'boxes'"),
        (dict(smallest=4), ValueError, 'got None'),
        (dict(name='pymic_grid', smallest=4), TypeError, 'smallest'),
        (dict(name='pymic_grid', share=0), ValueError, 'share must be a part of the cells'),
        (dict(name='pymic_grid', cell=(8, 4)), ValueError, r'cell must be the fewest and the most.*\(8, 4\)'),
        (dict(name='paper_boxes', count=(0, 4)), ValueError, 'count must be'),
        (dict(name='paper_boxes', largest=1.5), ValueError, 'largest a part of the crop'),
    ],
)
def test_what_cannot_be_drawn_is_named(sampling, error, message):
    with pytest.raises(error, match=message):
        build_sampling(sampling)


@pytest.mark.parametrize(
    ('name', 'message'),
    [('paper_boxes', r'at least \(13, 13, 13\), got \(12, 40, 40\)'), ('pymic_grid', r'got \(7, 40, 40\)')],
)
def test_a_crop_that_is_too_small_is_refused_with_what_would_fit(name, message):
    with pytest.raises(ValueError, match=message):
        drawn(build_sampling(name), (12, 40, 40) if name == 'paper_boxes' else (7, 40, 40))
    drawn(build_sampling('paper_boxes'), (13, 13, 13))

"""Crops on a grid and at random, and their overlap."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medctx3d.models.views import PositionCrops, grid_overlap

PLAIN = dict(flip_prob=0, rotate_prob=0, shift_prob=0)
grids = st.tuples(*[st.integers(1, 4)] * 3).filter(lambda grid: grid[0] * grid[1] * grid[2] > 1)


@settings(deadline=None, max_examples=60)
@given(grids, st.tuples(*[st.integers(1, 9)] * 3), st.integers(0, 1000))
def test_overlap_is_the_share_of_voxels_in_each_cell_and_sums_to_one(grid, size, seed):
    generator = torch.Generator().manual_seed(seed)
    reach = [(n - 1) * edge for n, edge in zip(grid, size, strict=True)]
    start = [int(torch.randint(r + 1, (), generator=generator)) for r in reach]
    counted = []
    for cell in itertools.product(*(range(n) for n in grid)):
        inside = 1
        for begin, k, edge in zip(start, cell, size, strict=True):
            inside *= len(set(range(begin, begin + edge)) & set(range(k * edge, (k + 1) * edge)))
        counted.append(inside / (size[0] * size[1] * size[2]))
    found = grid_overlap(torch.tensor(start), grid, size)
    torch.testing.assert_close(found, torch.tensor(counted))
    assert found.sum().item() == pytest.approx(1, abs=1e-5)


def test_one_layer_gives_the_published_in_plane_label():
    """y_k = max(0, R - |dx|) max(0, R - |dy|) / R^2 with k = 4 i + j, of centres."""
    side = 96
    for cx, cy in ((48, 48), (100, 200), (335, 48), (191, 77)):
        published = [
            max(0, side - abs(cx - (i + 0.5) * side)) * max(0, side - abs(cy - (j + 0.5) * side)) / side**2
            for i in range(4)
            for j in range(4)
        ]
        start = torch.tensor([cx - 48, cy - 48, 0])
        torch.testing.assert_close(grid_overlap(start, (4, 4, 1), (side, side, side)), torch.tensor(published))


@pytest.mark.parametrize('grid', [(4, 4, 1), (3, 3, 1), (2, 3, 2)])
def test_cells_tile_the_window_and_random_crops_lie_where_their_overlap_says(grid):
    crops = PositionCrops(grid, (4, 4, 4), num_drawn=3, **PLAIN)
    cells = grid[0] * grid[1] * grid[2]
    numbers = torch.arange(cells).view(grid).float()
    window = numbers.repeat_interleave(4, 0).repeat_interleave(4, 1).repeat_interleave(4, 2)[None, None]
    found = crops(window.expand(2, -1, -1, -1, -1))
    assert found.bases.shape == (2 * cells, 1, 4, 4, 4)
    for index, base in enumerate(found.bases):
        assert (base == index % cells).all()
    shares = torch.stack([torch.bincount(crop.flatten().long(), minlength=cells) / 64 for crop in found.drawn])
    torch.testing.assert_close(found.overlap.flatten(0, 1), shares)


def test_geometry_and_intensity_change_crops_but_not_their_overlap():
    window = torch.rand(1, 1, 8, 8, 4)
    torch.manual_seed(3)
    plain = PositionCrops((2, 2, 1), (4, 4, 4), **PLAIN)(window)
    torch.manual_seed(3)
    changed = PositionCrops((2, 2, 1), (4, 4, 4), flip_prob=1, rotate_prob=1, shift_prob=1)(window)
    assert torch.equal(plain.overlap, changed.overlap)
    difference = changed.bases.flatten(1).sort().values - plain.bases.flatten(1).sort().values
    assert difference.std(dim=1).max() < 1e-6
    assert difference.abs().max() <= 0.1
    assert not torch.equal(changed.bases, plain.bases)


def test_crops_are_resized_where_another_size_is_asked_for():
    found = PositionCrops((2, 2, 1), (6, 6, 4), out_size=(4, 4, 4))(torch.rand(2, 3, 12, 12, 4))
    assert found.drawn.shape == (4, 3, 4, 4, 4)
    assert found.bases.shape == (8, 3, 4, 4, 4)


def test_the_same_seed_cuts_the_same_crops():
    crops, window = PositionCrops((2, 2, 2), (4, 4, 4)), torch.rand(2, 1, 8, 8, 8)
    torch.manual_seed(5)
    first = crops(window)
    torch.manual_seed(5)
    assert all(torch.equal(a, b) for a, b in zip(first, crops(window), strict=True))


def test_every_place_from_edge_to_edge_is_drawn():
    torch.manual_seed(0)
    overlap = PositionCrops((2, 1, 1), (3, 3, 3), num_drawn=400, rotate_prob=0)(torch.rand(1, 1, 6, 3, 3)).overlap
    assert sorted(set(overlap[0, :, 0].mul(3).round().int().tolist())) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ('shape', 'hint'),
    [((16, 16, 4), r'grid=\(4, 4, 1\)'), ((7, 8, 4), r'grid=\(1, 2, 1\)'), ((3, 8, 4), r'base_size=\(1, 4, 4\)')],
)
def test_a_window_of_another_size_is_refused_with_what_would_fit(shape, hint):
    with pytest.raises(ValueError, match=rf'needs windows of \(8, 8, 4\), got .*{hint}'):
        PositionCrops((2, 2, 1), (4, 4, 4))(torch.rand(1, 1, *shape))


@pytest.mark.parametrize(
    'wrong',
    [
        dict(grid=(1, 1, 1)),
        dict(grid=(0, 2, 2)),
        dict(base_size=(4, 4)),
        dict(num_drawn=0),
        dict(flip_prob=1.5),
        dict(base_size=(4, 6, 4)),
    ],
)
def test_arguments_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match='PositionCrops'):
        PositionCrops(**(dict(grid=(2, 2, 1), base_size=(4, 4, 4)) | wrong))

"""Contract of every masking strategy, over the registry."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medctx3d.models.masking import BlockMask, RandomMask, TubeMask, cell_grid, hide, resize_mask
from medctx3d.registry import MASKINGS, component_names

EXAMPLES = {
    'RandomMask': dict(type='RandomMask', ratio=0.4),
    'TubeMask': dict(type='TubeMask', ratio=0.4, axis=2),
    'BlockMask': dict(type='BlockMask', ratio=0.4, block=(1, 3)),
    'OrganMask': dict(type='OrganMask', ratio=0.4),
}
LABELS = torch.ones(8, 1, 12, 10, 8).long()  # organs everywhere: every cell may be hidden
GRID = (6, 5, 4)


def test_every_registered_strategy_is_under_contract():
    names = [name for name in component_names(MASKINGS) if MASKINGS.get(name).__module__.startswith('medctx3d')]
    assert sorted(EXAMPLES) == names


@pytest.mark.parametrize('name', sorted(EXAMPLES))
def test_strategy_hides_the_stated_share_of_cells_per_sample(name):
    mask = MASKINGS.build(EXAMPLES[name])(8, GRID, labels=LABELS)
    assert mask.dtype == torch.bool
    assert mask.shape == (8, *GRID)
    expected = math.floor(0.4 * 30) * 4 if name == 'TubeMask' else math.floor(0.4 * 120)
    assert mask.flatten(1).sum(dim=1).tolist() == [expected] * 8


@pytest.mark.parametrize('name', sorted(EXAMPLES))
def test_samples_of_a_batch_differ_and_the_seed_decides(name):
    strategy = MASKINGS.build(EXAMPLES[name])
    torch.manual_seed(3)
    first = strategy(4, GRID, labels=LABELS[:4])
    torch.manual_seed(3)
    second = strategy(4, GRID, labels=LABELS[:4])
    assert torch.equal(first, second)
    assert len({tuple(sample.flatten().tolist()) for sample in first}) > 1


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_tube_mask_is_constant_along_its_axis(axis):
    mask = TubeMask(0.3, axis=axis)(3, GRID)
    assert torch.equal(mask, mask.narrow(axis + 1, 0, 1).expand_as(mask))
    other = (axis + 1) % 3
    assert not torch.equal(mask, mask.narrow(other + 1, 0, 1).expand_as(mask))


@settings(max_examples=25, deadline=None)
@given(ratio=st.floats(0.1, 0.9), grid=st.tuples(*[st.integers(2, 7)] * 3), seed=st.integers(0, 1000))
def test_block_mask_hides_exactly_the_ratio_on_any_grid(ratio, grid, seed):
    torch.manual_seed(seed)
    cells = math.prod(grid)
    if math.floor(ratio * cells + 1e-9) == 0:
        return
    assert int(BlockMask(ratio, block=(1, 4))(1, grid).sum()) == math.floor(ratio * cells + 1e-9)


def test_block_mask_is_connected_where_random_cells_are_not():
    torch.manual_seed(0)

    def neighbours(mask):  # pairs of hidden cells that touch along z
        return int((mask[..., 1:] & mask[..., :-1]).sum())

    assert neighbours(BlockMask(0.3, block=(3, 3))(8, (9, 9, 9))) > 1.5 * neighbours(RandomMask(0.3)(8, (9, 9, 9)))


@pytest.mark.parametrize('ratio', [0.0, 1.0, -0.1, 1.5])
def test_ratio_that_hides_everything_or_nothing_is_refused(ratio):
    with pytest.raises(ValueError, match='between 0 and 1'):
        RandomMask(ratio)


def test_ratio_too_small_for_the_grid_is_refused_with_the_fix():
    with pytest.raises(ValueError, match='hides none; use a larger crop'):
        RandomMask(0.1)(1, (2, 2, 2))


def test_tube_axis_and_block_edges_are_checked():
    with pytest.raises(ValueError, match='axis must be 0'):
        TubeMask(0.5, axis=3)
    with pytest.raises(ValueError, match='block must be'):
        BlockMask(0.5, block=(3, 1))


def test_hidden_voxels_are_those_of_hidden_cells_in_every_channel():
    mask = torch.zeros(2, 2, 2, 2, dtype=torch.bool)
    mask[0, 1, 0, 1] = True
    shown = hide(torch.ones(2, 3, 8, 8, 8), mask, fill=-1.0)
    expected = torch.ones(2, 3, 8, 8, 8)
    expected[0, :, 4:, :4, 4:] = -1.0
    assert torch.equal(shown, expected)


def test_resizing_to_voxels_repeats_each_cell():
    mask = torch.rand(1, 3, 4, 2) > 0.5
    fine = resize_mask(mask, (9, 8, 8))
    assert torch.equal(fine, mask.repeat_interleave(3, 1).repeat_interleave(2, 2).repeat_interleave(4, 3))


def test_cell_grid_refuses_a_crop_that_cells_do_not_divide():
    assert cell_grid((32, 48, 16), (16, 16, 8)) == (2, 3, 2)
    with pytest.raises(ValueError, match='does not divide the crop'):
        cell_grid((32, 40, 32), (16, 16, 16))


@pytest.mark.parametrize('name', ['RandomMask', 'TubeMask', 'BlockMask'])
def test_a_shared_mask_is_the_same_for_the_whole_batch(name):
    mask = MASKINGS.build(dict(EXAMPLES[name], shared=True))(5, GRID)
    assert mask.shape == (5, *GRID)
    assert torch.equal(mask, mask[:1].expand_as(mask))
    assert 0 < mask[0].sum() < mask[0].numel()

"""Windows of tokens and attention inside them, against dense attention written out here."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from medctx3d.models.blocks import CrossWindowBlock, SelfWindowBlock, WindowAttention, fit_windows
from medctx3d.models.blocks.window_attention import position_rows

CASES = [  # grid, window, shifted
    ((4, 4, 4), (2, 2, 2), False),
    ((4, 4, 4), (2, 2, 2), True),
    ((5, 4, 3), (2, 3, 2), True),  # no axis fits
    ((5, 3, 2), (4, 4, 4), True),  # two axes are shorter than the window
]


def tokens_of(grid, channels=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, *grid, channels, generator=generator, dtype=torch.float64)


def visible_pairs(grid, window, shifted, apart=True):
    """(tokens, tokens) bool and the offset of each pair, axis by axis from the definition of a shifted window."""
    seen, offsets = [], []
    for side, wanted in zip(grid, window, strict=True):
        size = min(side, wanted)
        shift = wanted // 2 if shifted and side > wanted else 0
        length = math.ceil(side / size) * size
        places = [((index - shift) % length) for index in range(side)]
        seen.append(
            [
                [
                    places[a] // size == places[b] // size and (not apart or (a < shift) == (b < shift))
                    for b in range(side)
                ]
                for a in range(side)
            ]
        )
        offsets.append([[places[a] - places[b] for b in range(side)] for a in range(side)])
    indices = list(itertools.product(*map(range, grid)))
    pairs = [[all(seen[k][a[k]][b[k]] for k in range(3)) for b in indices] for a in indices]
    steps = [[[offsets[k][a[k]][b[k]] for k in range(3)] for b in indices] for a in indices]
    return torch.tensor(pairs), torch.tensor(steps)


def dense_attention(attention, queries, keys, values, grid, shifted):
    """Softmax over all tokens at once, forbidden pairs at minus infinity; (N, X, Y, Z, C) each."""
    pairs, steps = visible_pairs(grid, attention.window, shifted)
    spans = torch.tensor([2 * side - 1 for side in attention.window])
    steps = (steps + torch.tensor(attention.window) - 1).clamp_min(0).minimum(spans - 1)
    rows = steps[..., 0] + spans[0] * (steps[..., 1] + spans[1] * steps[..., 2])
    heads, width = attention.num_heads, queries.shape[-1] // attention.num_heads
    mixed = torch.empty_like(queries).flatten(1, 3)
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        q, k, v = (tokens.flatten(1, 3)[..., part] for tokens in (queries, keys, values))
        scores = q @ k.transpose(1, 2) / math.sqrt(width) + attention.position_table[rows, head]
        mixed[..., part] = scores.masked_fill(~pairs, -math.inf).softmax(-1) @ v
    return F.linear(mixed, attention.output.weight, attention.output.bias).unflatten(1, grid)


@pytest.mark.parametrize(('grid', 'window', 'shifted'), CASES)
def test_join_takes_back_what_cut_gave(grid, window, shifted):
    tokens = tokens_of(grid)
    windows = fit_windows(grid, window, shifted=shifted)
    pieces = windows.cut(tokens)
    assert pieces.shape == (2 * math.prod(windows.counts), math.prod(windows.size), 4)
    assert torch.equal(windows.join(pieces), tokens)


def test_an_axis_that_the_window_covers_is_taken_whole_and_not_shifted():
    windows = fit_windows((8, 4, 2), (4, 4, 4), shifted=True)
    assert (windows.size, windows.shift) == ((4, 4, 2), (2, 0, 0))


@pytest.mark.parametrize(('grid', 'window', 'shifted'), CASES)
def test_self_block_equals_dense_attention_over_the_pairs_it_may_see(grid, window, shifted):
    torch.manual_seed(0)
    block = SelfWindowBlock(4, 2, window=window, shifted=shifted).double().eval()
    tokens = tokens_of(grid)
    with torch.no_grad():
        queries, keys, values = block.project(block.norm(tokens)).split(4, dim=-1)
        expected = tokens + dense_attention(block.attention, queries, keys, values, grid, shifted)
        expected = expected + block.mlp(expected)
        assert torch.allclose(block(tokens), expected, atol=1e-12)


@pytest.mark.parametrize(('grid', 'window'), [((4, 4, 4), (2, 2, 2)), ((5, 4, 3), (2, 3, 2))])
def test_cross_block_asks_the_skip_with_the_bare_upsampled_tokens(grid, window):
    torch.manual_seed(0)
    block = CrossWindowBlock(4, 2, window=window).double().eval()
    upsampled, skip = tokens_of(grid, seed=1), tokens_of(grid, seed=2)
    with torch.no_grad():
        keys, values = block.project(block.norm(skip)).split(4, dim=-1)
        attended = dense_attention(block.attention, block.norm(upsampled), keys, values, grid, False)
        expected = upsampled + skip + attended
        expected = expected + block.mlp(expected)
        assert torch.allclose(block(upsampled, skip), expected, atol=1e-12)


def test_cross_block_has_no_weights_for_queries():
    width = 6
    project = CrossWindowBlock(width, 2, window=(2, 2, 2)).project
    assert sum(weight.numel() for weight in project.parameters()) == 2 * width**2 + 2 * width


@pytest.mark.parametrize('shift_mask', [True, False])
def test_opposite_borders_meet_only_without_the_shift_mask(shift_mask):
    torch.manual_seed(0)
    block = SelfWindowBlock(4, 1, window=(4, 4, 4), shifted=True, shift_mask=shift_mask)
    tokens = torch.randn(1, 8, 4, 4, 4, requires_grad=True)
    block(tokens)[:, 0].square().sum().backward()
    reached = tokens.grad.abs().sum(dim=(0, 2, 3, 4)) > 0
    assert reached.tolist() == [True, True, False, False, False, False, *([not shift_mask] * 2)]


@pytest.mark.parametrize(('shift_mask', 'share'), [(True, 1.0), (False, 0.5)])
def test_padding_is_attended_to_only_without_the_shift_mask(shift_mask, share):
    block = SelfWindowBlock(4, 1, window=(2, 2, 2), shifted=False, shift_mask=shift_mask)
    with torch.no_grad():  # all keys alike: attention is the mean of the values, which are the normalised tokens
        for weight in (*block.project.parameters(), block.attention.position_table, *block.mlp[-1].parameters()):
            weight.zero_()
        block.project.weight[8:] = torch.eye(4)
        block.attention.output.weight.copy_(torch.eye(4))
        block.attention.output.bias.zero_()
        tokens = tokens_of((3, 2, 2)).float()
        added = (block(tokens) - tokens)[:, 2]
        mean = block.norm(tokens)[:, 2].mean(dim=(1, 2), keepdim=True)
    assert torch.allclose(added, (share * mean).expand_as(added), atol=1e-6)


@pytest.mark.parametrize('window', [(2, 2, 2), (4, 3, 2), (5, 5, 3)])
def test_every_relative_position_has_its_own_row_and_all_rows_are_used(window):
    rows = position_rows(window, window, published=False, device='cpu')
    assert torch.equal(rows.unique(), torch.arange(math.prod(2 * side - 1 for side in window)))
    places = torch.tensor(list(itertools.product(*map(range, window))))
    offsets = (places[:, None] - places[None]).flatten(0, 1)
    pairs = torch.cat([offsets, rows.flatten()[:, None]], dim=1).unique(dim=0)
    assert len(pairs) == len(offsets.unique(dim=0)) == len(rows.unique())


@pytest.mark.parametrize(
    ('window', 'used', 'table'),
    [((4, 4, 4), 115, 343), ((8, 8, 8), 547, 3375), ((5, 5, 3), 137, 405), ((10, 10, 7), 709, 4693)],
)
def test_published_rows_collide(window, used, table):
    assert math.prod(2 * side - 1 for side in window) == table
    assert len(position_rows(window, window, published=True, device='cpu').unique()) == used
    assert len(position_rows(window, window, published=False, device='cpu').unique()) == table


def test_a_cut_window_reads_the_rows_of_the_same_offsets():
    large, small = (
        position_rows(window, (3, 3, 3), published=False, device='cpu') for window in ((3, 3, 3), (2, 3, 1))
    )
    kept = torch.tensor([x * 9 + y * 3 for x in range(2) for y in range(3)])
    assert torch.equal(small, large[kept][:, kept])


def test_windows_and_heads_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match='num_heads must divide the 6 channels, got 4'):
        WindowAttention(6, 4, window=(2, 2, 2))
    with pytest.raises(ValueError, match='published_position_index would read row 210 of 15'):
        WindowAttention(4, 2, window=(1, 8, 1), published_position_index=True)

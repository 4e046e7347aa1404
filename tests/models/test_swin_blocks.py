"""Swin blocks under published names: rows of the position table, and windows as published."""

from __future__ import annotations

import math

import pytest
import torch

from medctx3d.models.blocks.swin_blocks import SwinBlock, position_factors
from medctx3d.models.blocks.window_attention import relative_rows
from medctx3d.models.blocks.windows import published_windows


def test_published_rows_reach_291_of_1331_and_correct_rows_all():
    def rows(published):
        return relative_rows((6, 6, 6), (6, 6, 6), position_factors(6, published=published), device='cpu')

    assert position_factors(6, published=True) == (17, 11, 1)
    assert position_factors(6, published=False) == (121, 11, 1)
    assert len(rows(True).unique()) == 291
    assert int(rows(True).max()) < 1331
    assert len(rows(False).unique()) == 1331
    place = torch.cartesian_prod(*(torch.arange(6),) * 3)  # (z, y, x)
    offset = place[:, None] - place[None, :] + 5
    assert torch.equal(rows(True), 17 * offset[..., 0] + 11 * offset[..., 1] + offset[..., 2])


def attention_by_hand(block: SwinBlock, tokens: torch.Tensor, edge: int, shift: int) -> torch.Tensor:
    """Attention of the published code on one volume (Z, Y, X, C): padding is attended to, the roll is masked."""
    attn, normed = block.attn, block.norm1(tokens)
    sides = [math.ceil(side / edge) * edge for side in tokens.shape[:3]]
    padded = torch.zeros(*sides, tokens.shape[3])
    padded[: tokens.shape[0], : tokens.shape[1], : tokens.shape[2]] = normed
    answer, heads = torch.zeros_like(padded), attn.num_heads
    width = 2 * attn.table_window[0] - 1
    for corner in torch.cartesian_prod(*(torch.arange(0, side, edge) for side in sides)).tolist():
        inside = torch.cartesian_prod(*(torch.arange(edge),) * 3)
        rolled = inside + torch.tensor(corner)
        place = (rolled + shift) % torch.tensor(sides)
        wrapped = rolled >= torch.tensor(sides) - shift if shift else torch.zeros_like(rolled, dtype=torch.bool)
        q, k, v = attn.qkv(padded[tuple(place.T)]).view(len(place), 3, heads, -1).permute(1, 2, 0, 3)
        offset = inside[:, None] - inside[None, :] + attn.table_window[0] - 1
        row = offset[..., 0] * width**2 + offset[..., 1] * width + offset[..., 2]
        scores = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 + attn.relative_position_bias_table[row].permute(2, 0, 1)
        scores[:, (wrapped[:, None] != wrapped[None, :]).any(-1)] -= 100.0
        mixed = (scores.softmax(-1) @ v).permute(1, 0, 2).flatten(1)
        answer[tuple(place.T)] = attn.proj(mixed)
    return answer[: tokens.shape[0], : tokens.shape[1], : tokens.shape[2]]


@pytest.mark.parametrize(
    ('grid', 'edge', 'shifted'), [((4, 7, 5), 3, False), ((4, 7, 5), 3, True), ((2, 7, 5), 2, True)]
)
def test_published_windows_attend_as_the_published_code(grid, edge, shifted):
    torch.manual_seed(0)
    block = SwinBlock(8, 2, window=3, shifted=shifted, dropout=0.0, drop_path=0.0, published_windows=True).eval()
    block.attn.relative_position_bias_table.data.normal_()
    tokens = torch.randn(1, *grid, 8)
    shift = 1 if shifted and min(grid) > 3 else 0
    windows = published_windows(grid, (3, 3, 3), shifted=shifted)
    assert (windows.size, windows.shift) == ((edge,) * 3, (shift,) * 3)
    with torch.no_grad():
        attended = windows.join(block.attn(windows.cut(block.norm1(tokens)), windows))
        assert torch.allclose(attended[0], attention_by_hand(block, tokens[0], edge, shift), atol=1e-5)


def test_a_token_alone_with_padding_attends_to_itself_and_to_padding_only_as_published():
    torch.manual_seed(0)
    tokens = torch.randn(1, 4, 4, 4, 8)
    for published in (False, True):
        block = SwinBlock(
            8, 2, window=3, shifted=False, dropout=0.0, drop_path=0.0, published_windows=published
        ).eval()
        seen = []
        block.attn.register_forward_hook(lambda _module, _inputs, answer, seen=seen: seen.append(answer))
        with torch.no_grad():
            block(tokens)
            corner = block.attn.proj(block.attn.qkv(block.norm1(tokens[0, 3, 3, 3]))[16:])
        assert torch.allclose(seen[0][-1, 0], corner, atol=1e-6) == (not published)

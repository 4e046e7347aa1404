"""Numbers that tell a spread representation from a collapsed one."""

from __future__ import annotations

import pytest
import torch

from medctx3d.utils.collapse import collapse_indicators


def test_directions_spread_over_the_sphere() -> None:
    torch.manual_seed(0)
    seen = collapse_indicators(torch.randn(2000, 16))
    assert seen['spread'] == pytest.approx(1.0, abs=0.03)
    assert abs(seen['cosine']) < 0.01
    assert seen['effective_rank'] > 15.5
    assert seen['dead'] == 0


def test_one_point_is_collapsed() -> None:
    seen = collapse_indicators(torch.ones(100, 8))
    assert seen['spread'] == pytest.approx(0.0, abs=1e-6)
    assert seen['cosine'] == pytest.approx(1.0, abs=1e-5)
    assert seen['dead'] == 1


def test_a_plane_has_rank_two_and_constant_channels_are_dead() -> None:
    torch.manual_seed(0)
    rows = torch.zeros(500, 10)
    rows[:, :2] = torch.randn(500, 2)
    rows[:, 9] = 3.0
    seen = collapse_indicators(rows)
    assert seen['effective_rank'] == pytest.approx(2.0, abs=0.05)
    assert seen['dead'] == pytest.approx(0.8)


def test_cosine_equals_the_mean_over_all_pairs() -> None:
    torch.manual_seed(1)
    rows = torch.randn(7, 3) + 1
    cosines = torch.nn.functional.cosine_similarity(rows[:, None], rows[None], dim=2)
    expected = cosines[~torch.eye(7, dtype=torch.bool)].mean()
    assert collapse_indicators(rows)['cosine'] == pytest.approx(expected.item(), abs=1e-5)


def test_one_row_says_nothing() -> None:
    with pytest.raises(ValueError, match='two rows or more'):
        collapse_indicators(torch.ones(1, 4))

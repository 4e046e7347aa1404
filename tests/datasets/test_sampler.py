from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.runner import Runner

from medctx3d.datasets import SeededSampler, sampler


def on_rank(rank: int, world_size: int, length: int, **options: object) -> SeededSampler:
    original = sampler.get_dist_info
    sampler.get_dist_info = lambda: (rank, world_size)
    try:
        return SeededSampler(range(length), **options)
    finally:
        sampler.get_dist_info = original


@settings(max_examples=40, deadline=None)
@given(length=st.integers(1, 9), world_size=st.integers(1, 4), seed=st.integers(0, 99), shuffle=st.booleans())
def test_ranks_together_draw_what_one_process_draws(length, world_size, seed, shuffle):
    alone = list(islice(on_rank(0, 1, length, seed=seed, shuffle=shuffle), 12 * world_size))
    ranks = [islice(on_rank(r, world_size, length, seed=seed, shuffle=shuffle), 12) for r in range(world_size)]
    dealt = [draw for group in zip(*ranks, strict=True) for draw in group]
    assert dealt == alone


def test_every_epoch_holds_each_index_once_in_another_order():
    draws = list(islice(SeededSampler(range(50), seed=3), 150))
    epochs = [draws[start : start + 50] for start in (0, 50, 100)]
    for number, epoch in enumerate(epochs):
        assert sorted(epoch) == list(range(50 * number, 50 * number + 50))
    orders = [[draw % 50 for draw in epoch] for epoch in epochs]
    assert orders[0] != orders[1] != orders[2] != list(range(50))


def test_seed_decides_the_order():
    one, same, other = (list(islice(SeededSampler(range(50), seed=seed), 50)) for seed in (1, 1, 2))
    assert one == same != other


def test_unshuffled_stream_counts_up():
    assert list(islice(SeededSampler(range(4), seed=0, shuffle=False), 10)) == list(range(10))


@pytest.mark.parametrize('world_size', [1, 2, 3])
def test_ending_epochs_follow_one_another_in_the_endless_stream(world_size):
    endless = list(islice(SeededSampler(range(7), seed=5), 60))
    dealt = []
    for epoch in range(3):
        ranks = [on_rank(rank, world_size, 7, seed=5, infinite=False) for rank in range(world_size)]
        for one in ranks:
            one.set_epoch(epoch)
        assert {len(list(one)) for one in ranks} == {len(ranks[0])}
        dealt += [draw for group in zip(*ranks, strict=True) for draw in group]
    assert dealt == endless[: len(dealt)]
    assert len(dealt) >= 21


def test_start_skips_draws_of_the_whole_stream():
    stream = list(islice(SeededSampler(range(7), seed=5), 30))
    assert list(islice(SeededSampler(range(7), seed=5, start=10), 20)) == stream[10:]
    assert list(islice(on_rank(1, 2, 7, seed=5, start=10), 10)) == stream[11::2]


@pytest.mark.parametrize('start', [-2, 3])
def test_start_that_would_upset_the_deal_is_refused(start):
    with pytest.raises(ValueError, match=f'start.*{start}'):
        on_rank(0, 2, 7, seed=0, start=start)


def test_empty_dataset_is_refused():
    with pytest.raises(ValueError, match='empty'):
        SeededSampler([])


def test_runner_builds_it_with_its_own_seed():
    config = dict(dataset=list(range(10)), sampler=dict(type='medctx3d.SeededSampler'), batch_size=5, num_workers=0)
    built = Runner.build_dataloader(config, seed=4)
    assert next(iter(built)) == list(islice(SeededSampler(range(10), seed=4), 5))


def test_without_a_seed_one_is_drawn():
    assert SeededSampler(range(3)).seed >= 0


def test_without_a_seed_that_of_the_dataset_counts():
    class Seeded(list):
        seed = 4

    config = dict(dataset=Seeded(range(10)), sampler=dict(type='medctx3d.SeededSampler'), batch_size=5, num_workers=0)
    built = Runner.build_dataloader(config, seed=9, diff_rank_seed=True)
    assert next(iter(built)) == list(islice(SeededSampler(range(10), seed=4), 5))

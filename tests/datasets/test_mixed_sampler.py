"""Labelled and unlabelled volumes in a fixed proportion."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest
from tiny_volumes import LOAD, METAINFO, write_case

from medctx3d.datasets import MixedSampler, VolumeDataset, mixed_sampler


@pytest.fixture
def dataset(tmp_path: Path) -> VolumeDataset:
    """Two labelled and three unlabelled volumes, two crops of each."""
    records = [write_case(tmp_path, f'case{number}', number) for number in range(5)]
    path = tmp_path / 'dataset.json'
    path.write_text(json.dumps(dict(training=records[:2], rest=records[2:])))
    load = [dict(step, allow_missing_keys=True) if 'keys' in step else step for step in LOAD]
    crops = [dict(type='ForegroundCrop', size=(8, 8, 8)), dict(type='PackVolume')]
    return VolumeDataset(
        str(path), unlabelled_split='rest', load_pipeline=load, pipeline=crops, metainfo=METAINFO, crops_per_volume=2
    )


def on_rank(dataset: VolumeDataset, rank: int, world_size: int, **options: int) -> MixedSampler:
    original = mixed_sampler.get_dist_info
    mixed_sampler.get_dist_info = lambda: (rank, world_size)
    try:
        return MixedSampler(dataset, seed=0, **options)
    finally:
        mixed_sampler.get_dist_info = original


def test_labels_of_the_unlabelled_split_are_never_read(dataset: VolumeDataset) -> None:
    assert [bool(record['label']) for record in dataset.data_list] == [True, True, False, False, False]
    assert dataset.labelled_draws() == ([0, 1, 2, 3], [4, 5, 6, 7, 8, 9])
    assert 'gt_sem_seg' in dataset[0]['data_samples']
    assert 'gt_sem_seg' not in dataset[4]['data_samples']


@pytest.mark.parametrize('world_size', [1, 2, 3])
def test_every_block_of_every_rank_has_the_stated_proportion(dataset: VolumeDataset, world_size: int) -> None:
    for rank in range(world_size):
        draws = list(islice(on_rank(dataset, rank, world_size, labelled=1, unlabelled=2), 30))
        assert [draw % 10 < 4 for draw in draws] == [True, False, False] * 10


def test_ranks_together_draw_what_one_process_draws(dataset: VolumeDataset) -> None:
    alone = list(islice(on_rank(dataset, 0, 1, labelled=1, unlabelled=2), 36))
    blocks = [list(islice(on_rank(dataset, rank, 2, labelled=1, unlabelled=2), 18)) for rank in range(2)]
    dealt = [draw for i in range(0, 18, 3) for rank in range(2) for draw in blocks[rank][i : i + 3]]
    assert dealt == alone


def test_either_kind_comes_round_in_epochs_of_its_own_and_no_draw_repeats(dataset: VolumeDataset) -> None:
    draws = list(islice(MixedSampler(dataset, seed=1, labelled=2, unlabelled=1), 36))
    assert len(set(draws)) == len(draws)
    labelled = [draw for draw in draws if draw % 10 < 4]
    unlabelled = [draw for draw in draws if draw % 10 >= 4]
    for start in range(0, 24, 4):
        assert sorted(draw % 10 for draw in labelled[start : start + 4]) == [0, 1, 2, 3]
    for start in range(0, 12, 6):
        assert sorted(draw % 10 for draw in unlabelled[start : start + 6]) == [4, 5, 6, 7, 8, 9]


def test_the_seed_decides(dataset: VolumeDataset) -> None:
    one, same, other = (list(islice(MixedSampler(dataset, seed=seed), 20)) for seed in (1, 1, 2))
    assert one == same != other


def test_what_cannot_be_mixed_is_refused(dataset: VolumeDataset) -> None:
    with pytest.raises(TypeError, match='needs a VolumeDataset'):
        MixedSampler(range(4))
    with pytest.raises(ValueError, match='must be 1 or more'):
        MixedSampler(dataset, unlabelled=0)
    dataset.data_list = dataset.data_list[:2]
    with pytest.raises(ValueError, match='no volume without a label'):
        MixedSampler(dataset)


def test_the_rest_of_the_split_itself_comes_without_labels(tmp_path: Path) -> None:
    records = [write_case(tmp_path, f'case{number}', number) for number in range(4)]
    path = tmp_path / 'dataset.json'
    path.write_text(json.dumps(dict(training=records)))
    whole = VolumeDataset(str(path), cases=('case2',), unlabelled_split='training', metainfo=METAINFO, lazy_init=True)
    whole.read_list()
    assert [(record['case'], bool(record['label'])) for record in whole.data_list] == [
        ('case2', True),
        ('case0', False),
        ('case1', False),
        ('case3', False),
    ]

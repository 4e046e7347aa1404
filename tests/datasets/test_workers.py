from __future__ import annotations

import random
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from tiny_volumes import LOAD, METAINFO, write_case, write_list
from torch.utils.data import DataLoader

from medctx3d.datasets import SeededSampler, VolumeDataset, sampler, seed_worker
from medctx3d.registry import FUNCTIONS, register_all_modules


def shift_by_global_generators(data: dict) -> dict:
    """What transforms of other libraries do: draw from the process's own generators."""
    shift = random.random() + np.random.random() + float(torch.rand(()))
    return dict(data, image=data['image'] + shift)


PIPELINE = [
    dict(type='ForegroundCrop', size=(8, 8, 8)),
    dict(type='RandMirror', prob=0.5),
    dict(type='monai.transforms.RandGaussianNoised', keys=['image'], prob=0.9),
    shift_by_global_generators,
    dict(type='PackVolume'),
]


@pytest.fixture(scope='module')
def make_dataset(tmp_path_factory) -> Callable[..., VolumeDataset]:
    folder: Path = tmp_path_factory.mktemp('data')
    ann_file = write_list(folder, [write_case(folder, f'case{number}', seed=number) for number in range(3)])

    def make(**options: object) -> VolumeDataset:
        defaults = dict(
            load_pipeline=LOAD,
            pipeline=PIPELINE,
            metainfo=METAINFO,
            crops_per_volume=2,
            store=dict(type='PreparedStore', root=str(folder / 'store'), num_workers=0),
        )
        return VolumeDataset(ann_file, **{**defaults, **options})

    return make


def batches(dataset: VolumeDataset, count: int, batch_size: int = 2, **options: object) -> list[torch.Tensor]:
    """The first batches, (batch, C, X, Y, Z), drawn in epochs that end, so that workers start anew for each."""
    workers = options.pop('num_workers', 0)
    order = options.pop('sampler', None) or SeededSampler(dataset, seed=7, infinite=False)
    loader = DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=order,
        num_workers=workers,
        collate_fn=lambda samples: torch.stack([sample['inputs'] for sample in samples]),
        worker_init_fn=seed_worker if workers else None,
        **options,
    )
    drawn: list[torch.Tensor] = []
    epoch = 0
    while len(drawn) < count:
        order.set_epoch(epoch)
        drawn += islice(loader, count - len(drawn))
        epoch += 1
    return drawn


@pytest.mark.parametrize(
    'options', [dict(num_workers=1), dict(num_workers=2), dict(num_workers=2, persistent_workers=True)]
)
def test_batches_do_not_depend_on_workers(make_dataset, options):
    expected = batches(make_dataset(), 6)
    for one, other in zip(expected, batches(make_dataset(), 6, **options), strict=True):
        assert torch.equal(one, other)


def test_all_crops_of_two_epochs_and_two_workers_differ(make_dataset):
    crops = [crop for batch in batches(make_dataset(), 6, num_workers=2) for crop in batch]
    assert len({crop.numpy().tobytes() for crop in crops}) == 12


def test_two_ranks_together_draw_the_batches_of_one_process(make_dataset, monkeypatch):
    dataset = make_dataset()
    alone = batches(dataset, 6, batch_size=4, sampler=SeededSampler(dataset, seed=7))
    ranks = []
    for rank in range(2):
        monkeypatch.setattr(sampler, 'get_dist_info', lambda rank=rank: (rank, 2))
        ranks.append(batches(dataset, 6, batch_size=2, sampler=SeededSampler(dataset, seed=7)))
    for whole, *parts in zip(alone, *ranks, strict=True):
        assert torch.equal(whole[0::2], parts[0])
        assert torch.equal(whole[1::2], parts[1])
        assert not torch.equal(parts[0], parts[1])


def test_other_seed_draws_other_crops_of_the_same_volumes(make_dataset):
    one, other = make_dataset(), make_dataset(seed=1)
    assert one[0]['data_samples'].case == other[0]['data_samples'].case
    assert not torch.equal(one[0]['inputs'], other[0]['inputs'])


def test_drawing_leaves_the_generators_of_the_process_alone(make_dataset):
    dataset = make_dataset()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = random.random(), np.random.random(), float(torch.rand(()))
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    dataset[0]
    assert (random.random(), np.random.random(), float(torch.rand(()))) == expected


def test_failing_draw_leaves_the_generators_of_the_process_alone(make_dataset):
    dataset = make_dataset(pipeline=[shift_by_global_generators, dict(type='monai.transforms.Flipd', keys=['none'])])
    torch.manual_seed(1)
    expected = float(torch.rand(()))
    torch.manual_seed(1)
    with pytest.raises(RuntimeError, match='none'):
        dataset[0]
    assert float(torch.rand(())) == expected


def test_mmcv_transform_runs_in_a_pipeline_and_repeats(make_dataset):
    transforms = pytest.importorskip('mmcv.transforms')

    class RandomGain(transforms.BaseTransform):
        def transform(self, results: dict) -> dict:
            return dict(results, image=results['image'] * np.random.uniform(0.5, 2.0))

    dataset = make_dataset(pipeline=[PIPELINE[0], RandomGain(), PIPELINE[-1]])
    plain = make_dataset(pipeline=[PIPELINE[0], PIPELINE[-1]])
    gains = [float(dataset[draw]['inputs'].sum() / plain[draw]['inputs'].sum()) for draw in (0, 6, 0)]
    assert gains[0] == gains[2] != gains[1]


def test_config_names_the_worker_function(make_dataset):
    register_all_modules()
    loader = Runner.build_dataloader(
        dict(
            dataset=make_dataset(),
            sampler=dict(type='medctx3d.SeededSampler'),
            batch_size=1,
            num_workers=0,
            worker_init_fn=dict(type='medctx3d.seed_worker'),
        ),
        seed=0,
    )
    assert loader.worker_init_fn.func is seed_worker
    assert FUNCTIONS.get('seed_worker') is seed_worker
    batch = next(iter(loader))
    assert batch['inputs'][0].shape == (1, 8, 8, 8)
    assert batch['data_samples'][0].gt_sem_seg.data.dtype == torch.int64


class _Report:
    """What a worker's process looks like from inside."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[int, float, float]:
        return torch.get_num_threads(), random.random(), float(np.random.random())


def test_workers_have_one_thread_and_generators_of_their_own():
    loader = DataLoader(_Report(), num_workers=2, worker_init_fn=seed_worker, collate_fn=lambda items: items[0])
    (threads, one_random, one_numpy), (_, other_random, other_numpy) = loader
    assert threads == 1
    assert one_random != other_random
    assert one_numpy != other_numpy

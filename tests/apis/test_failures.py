"""What the machine does to a training is told with its cause and the setting to change."""

from __future__ import annotations

import os
import resource
import signal
import sys

import numpy as np
import pytest
import torch
from helpers_engine import run_config, train
from mmengine.config import Config
from torch import nn

from medctx3d.apis.failures import MachineError, explain, explained
from medctx3d.datasets import VolumeDataset
from medctx3d.models.backbones import UNetEncoder
from medctx3d.registry import DATASETS

linux = pytest.mark.skipif(sys.platform != 'linux', reason='signals and limits of Linux')


@DATASETS.register_module()
class FailingDataset(VolumeDataset):
    """Draw 5 does something to its process."""

    misdeed = 'none'

    def prepare_data(self, idx):
        if idx == 5:
            getattr(self, self.misdeed)()
        return super().prepare_data(idx)

    def die(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def crash(self):
        os.kill(os.getpid(), signal.SIGSEGV)

    def bus_error(self):
        os.kill(os.getpid(), signal.SIGBUS)

    def exhaust(self):
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        np.ones(8 << 30, np.uint8)

    def truncate(self):
        path = next(self.store.root.glob('*/*/image.npy'))
        path.write_bytes(path.read_bytes()[:200])
        os.kill(os.getpid(), signal.SIGBUS)  # as the kernel does to who reads past the end


def failing(root, tmp_path, monkeypatch, misdeed, *, workers=1) -> Config:
    monkeypatch.setattr(FailingDataset, 'misdeed', misdeed)
    config = run_config(root, tmp_path / 'run', iterations=6, experiment_name=f'{misdeed}_{workers}')
    config.train_dataloader.num_workers = workers
    config.train_dataloader.sampler.shuffle = False
    config.train_dataloader.dataset.type = 'FailingDataset'
    return config


def message_of(config: Config, datasets=()) -> str:
    with pytest.raises(MachineError) as failure, explained(config, datasets):
        train(config)
    return str(failure.value)


@linux
@pytest.mark.parametrize(
    ('misdeed', 'parts'),
    [
        ('die', ['was killed from outside', 'memory ran out', 'train_dataloader.num_workers (1)', '--mem']),
        ('crash', ['by the signal Segmentation fault', 'train_dataloader.num_workers=0']),
        (
            'bus_error',
            ['shared memory', '/dev/shm has', '--shm-size', 'num_workers (1)', 'train_dataloader.batch_size (2)'],
        ),
        (
            'exhaust',
            ['memory of the machine does not suffice in worker process 0', 'Unable to allocate', 'num_workers (1)'],
        ),
    ],
)
def test_a_worker_that_dies_is_told_with_its_cause(nifti_dataset, tmp_path, monkeypatch, misdeed, parts):
    message = message_of(failing(nifti_dataset, tmp_path, monkeypatch, misdeed))
    assert [part for part in parts if part not in message] == [], message


def stored(root, tmp_path, monkeypatch, misdeed='none', *, workers=1) -> tuple[Config, VolumeDataset]:
    config = failing(root, tmp_path, monkeypatch, misdeed, workers=workers)
    config.train_dataloader.dataset.store = dict(type='PreparedStore', root=str(tmp_path / 'store'), num_workers=0)
    return config, DATASETS.build(config.train_dataloader.dataset)


@linux
def test_a_bus_error_of_a_prepared_volume_names_its_case(nifti_dataset, tmp_path, monkeypatch):
    config, dataset = stored(nifti_dataset, tmp_path, monkeypatch, 'truncate')
    message = message_of(config, [dataset])
    assert 'prepared volumes were removed or cut short while in use: image' in message
    assert '--resume' in message


@pytest.mark.parametrize('workers', [0, 1])
@pytest.mark.parametrize('how', ['removed', 'cut short'])
def test_a_prepared_file_that_is_gone_or_shorter_is_named(nifti_dataset, tmp_path, monkeypatch, how, workers):
    config, _ = stored(nifti_dataset, tmp_path, monkeypatch, 'spoil', workers=workers)

    def spoil(self):
        for path in self.store.root.glob('*/*/image.npy'):
            path.unlink() if how == 'removed' else os.truncate(path, 200)

    monkeypatch.setattr(FailingDataset, 'spoil', spoil, raising=False)
    with (
        pytest.raises(OSError, match='the prepared volume was removed or damaged while in use') as failure,
        explained(config),
    ):
        train(config)
    words = str(failure.value)
    assert str(tmp_path / 'store') in words
    assert 'Traceback' not in words


@pytest.mark.parametrize('how', ['removed', 'cut short'])
def test_a_source_file_that_is_gone_or_broken_is_named(nifti_dataset, tmp_path, monkeypatch, how):
    config = failing(nifti_dataset, tmp_path, monkeypatch, 'spoil')

    def spoil(self):
        for path in nifti_dataset.glob('image*.nii.gz'):
            path.unlink() if how == 'removed' else os.truncate(path, 500)

    monkeypatch.setattr(FailingDataset, 'spoil', spoil, raising=False)
    with pytest.raises((OSError, ValueError), match=r'image\d\.nii\.gz') as failure, explained(config):
        train(config)
    assert 'Traceback' not in str(failure.value)


def test_a_gpu_that_is_full_names_what_a_steps_memory_depends_on(nifti_dataset, tmp_path, monkeypatch):
    def full(self, inputs):
        raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 20.00 GiB')

    monkeypatch.setattr(UNetEncoder, 'forward', full)
    message = message_of(run_config(nifti_dataset, tmp_path, experiment_name='full_gpu'))
    assert 'memory of the GPU does not suffice in a step with image' in message
    for part in ('Tried to allocate 20.00 GiB', 'batch_size (it is 2;', 'pipeline.0.size ((16, 16, 16))', '--amp'):
        assert part in message
    assert "model.passes='sequential'" in message


def test_memory_that_the_machine_lacks_is_told_with_the_cases(nifti_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(nn.Conv3d, 'forward', lambda self, inputs: torch.empty(1 << 55))  # torch's own message
    message = message_of(run_config(nifti_dataset, tmp_path, experiment_name='full_machine', medcontext=False))
    assert "can't allocate memory" in message
    assert 'in a step with image' in message
    assert 'sequential' not in message


def test_a_worker_that_ended_is_told_by_the_signal_that_torch_named_before():
    config = Config(dict(train_dataloader=dict(num_workers=3, batch_size=2)))
    later = RuntimeError('DataLoader worker (pid(s) 17) exited unexpectedly')
    assert 'a worker process of a loader (pid 17) ended without saying why' in explain(later, config)
    later.__cause__ = RuntimeError('DataLoader worker (pid 17) is killed by signal: Killed. ')
    assert 'a worker process of a loader (pid 17) was killed from outside' in explain(later, config)


@pytest.mark.parametrize('error', [RuntimeError('a defect'), FileNotFoundError('no such list')])
def test_what_is_not_the_machines_fault_passes_unchanged(error):
    assert explain(error, Config({})) is None
    with pytest.raises(type(error), match=str(error)), explained(Config({})):
        raise error

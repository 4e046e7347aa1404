"""A training that does not move says so, once, with what every process is doing."""

from __future__ import annotations

import os
import threading
import time
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from helpers_engine import run_config, train
from mmengine.runner import Runner

from medctx3d.datasets import VolumeDataset
from medctx3d.engine.hooks import WatchdogHook
from medctx3d.engine.stop_request import Preempted
from medctx3d.registry import DATASETS

STALL = 'loading the batch of iteration 4; the'


def log_text(path):
    return path.read_text(encoding='utf-8', errors='replace')


@DATASETS.register_module()
class SleepyDataset(VolumeDataset):
    """One draw takes until the log tells of it, as one from a file server that is away; a minute at most."""

    work_dir = ''

    def prepare_data(self, idx):
        if idx == 6:
            self.fall_asleep()
        return super().prepare_data(idx)

    def fall_asleep(self):
        end = time.monotonic() + 60
        while time.monotonic() < end and not any(
            STALL in log_text(path) for path in Path(self.work_dir).glob('*/*.log')
        ):
            time.sleep(0.1)


def watched(root, work_dir, *, limit=2.5, **options):
    SleepyDataset.work_dir = str(work_dir)
    config = run_config(root, work_dir, iterations=5, experiment_name=f'watched_{time.monotonic_ns()}', **options)
    config.default_hooks.watchdog = dict(type='WatchdogHook', limit=limit)
    config.train_dataloader.sampler = dict(type='SeededSampler', shuffle=False)
    config.train_dataloader.dataset.type = 'SleepyDataset'
    return config


def log_of(runner: Runner) -> str:
    return Path(runner.logger.log_file).read_text(encoding='utf-8')


@pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='workers are asked on Linux only')
def test_a_stall_is_logged_once_with_the_stacks_of_all_processes_and_the_training_goes_on(nifti_dataset, tmp_path):
    workers = {'train_dataloader.num_workers': 1, 'train_dataloader.prefetch_factor': 1}
    runner = train(watched(nifti_dataset, tmp_path, **workers))
    assert runner.iter == 5
    before, _, after = log_of(runner).partition(STALL)
    assert before.rpartition('\n')[2].count('no step for') == 1
    assert STALL not in after
    waits, _, stacks = after.partition('process ')
    assert waits.startswith(' training waits on')
    main, worker = stacks.split('\nprocess ', 1)
    assert 'in run_iter' in main or 'loops.py' in main
    assert 'in fall_asleep' not in main
    assert 'in fall_asleep' in worker


def test_the_watch_ends_with_the_training_also_where_it_fails(nifti_dataset, tmp_path, monkeypatch):
    def fail(self):
        raise Preempted('SIGTERM', 3, 5)

    monkeypatch.setattr(SleepyDataset, 'fall_asleep', fail)
    with pytest.raises(Preempted):
        train(watched(nifti_dataset, tmp_path))
    end = time.monotonic() + 20
    while any(thread.name == 'watchdog' for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_quick_training_logs_no_stall(nifti_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(SleepyDataset, 'fall_asleep', lambda self: None)
    assert 'no step for' not in log_of(train(watched(nifti_dataset, tmp_path, limit=60.0)))


def test_a_stalled_process_ends_where_that_is_asked_for(nifti_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(SleepyDataset, 'fall_asleep', lambda self: time.sleep(100))
    config, printed = watched(nifti_dataset, tmp_path), tmp_path / 'printed.txt'
    config.default_hooks.watchdog.end = True
    child = os.fork()
    if child == 0:
        with printed.open('w', encoding='utf-8') as stream, redirect_stdout(stream):
            train(config)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    logged = next(tmp_path.glob('*/*.log')).read_text(encoding='utf-8')
    assert 'loading the batch of iteration 4; the process ends' in logged
    assert 'in prepare_data' in logged


def test_a_limit_that_is_no_time_is_refused():
    with pytest.raises(ValueError, match='limit must be a positive number of seconds, got 0'):
        WatchdogHook(0)

"""An interrupted and resumed training ends bit for bit where the uninterrupted one does."""

import os
import random
import signal
import time
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
import torch
from helpers_engine import run_config, train
from mmengine.hooks import Hook
from mmengine.runner import Runner

from medctx3d.apis.start_checkpoint import newest_whole
from medctx3d.engine.checkpoint import load_checkpoint_file
from medctx3d.engine.checkpoint_store import CheckpointStore
from medctx3d.engine.stop_request import Preempted

ITERATIONS = 8


class StoppedAfter(Hook):
    """Raise a signal in this process after an iteration, as a cluster would."""

    priority = 'VERY_HIGH'

    def __init__(self, iteration: int, name: str = 'SIGTERM') -> None:
        self.iteration = iteration
        self.name = name

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration:
            signal.raise_signal(getattr(signal, self.name))


class Generators(Hook):
    """Note what every library would draw in each iteration."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.drawn = {}

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.drawn[runner.iter] = (random.random(), np.random.rand(), torch.rand(()).item())


def everything(work_dir):
    """All tensors of the last checkpoint by name: weights, teacher, optimiser, loss scaler."""
    content = load_checkpoint_file(newest_whole(CheckpointStore(work_dir))[0])
    found = dict(content['state_dict'])
    for index, state in content['optimizer']['state'].items():
        found |= {f'optimizer.{index}.{key}': value for key, value in state.items()}
    found['schedules'] = repr(content['param_schedulers'])
    found['log'] = repr(content['message_hub']['log_scalars']['train/loss'])
    return found


def assert_equal(first, second):
    assert first.keys() == second.keys()
    for key, value in first.items():
        same = torch.equal(value, second[key]) if isinstance(value, torch.Tensor) else value == second[key]
        assert same, key


def resumed(config, name):
    config.merge_from_dict(dict(resume=True, experiment_name=name))
    config.load_from = str(newest_whole(CheckpointStore(config.work_dir))[0])
    runner = Runner.from_cfg(config)
    generators = Generators()
    runner.register_hook(generators)
    runner.train()
    return generators


def interrupt(config, *hooks):
    runner = Runner.from_cfg(config)
    for hook in hooks:
        runner.register_hook(hook)
    with pytest.raises(Preempted) as stop:
        runner.train()
    return stop.value


SETTINGS = {
    'workers, bfloat16 and accumulation': {
        'train_dataloader.num_workers': 2,
        'train_dataloader.persistent_workers': True,
        'optim_wrapper.type': 'CPUAmpOptimWrapper',
        'optim_wrapper.accumulative_counts': 3,
    },
    'sequential passes': {'model.passes': 'sequential'},
}


@pytest.mark.parametrize('setting', SETTINGS)
def test_a_training_stopped_by_a_signal_ends_as_if_it_had_not_been(nifti_dataset, tmp_path, setting):
    options = dict(iterations=ITERATIONS, **SETTINGS[setting])
    whole, generators = Runner.from_cfg(run_config(nifti_dataset, tmp_path / 'whole', **options)), Generators()
    whole.register_hook(generators)
    whole.train()
    stop = interrupt(run_config(nifti_dataset, tmp_path / 'parts', **options), Generators(), StoppedAfter(4))
    assert stop.done == (6 if 'accumulation' in setting else 4)  # gradients are not saved: after the optimiser's step
    again = resumed(run_config(nifti_dataset, tmp_path / 'parts', **options), f'again_{setting}')
    assert again.drawn == {step: drawn for step, drawn in generators.drawn.items() if step >= stop.done}
    assert_equal(everything(tmp_path / 'whole'), everything(tmp_path / 'parts'))


def test_resuming_reads_no_batch_of_the_past(nifti_dataset, tmp_path):
    train(run_config(nifti_dataset, tmp_path, iterations=6))
    config = run_config(nifti_dataset, tmp_path, iterations=ITERATIONS, resume=True, experiment_name='no_replay')
    config.load_from = str(tmp_path / 'iter_6.pth')
    runner = Runner.from_cfg(config)
    dataset = runner.train_dataloader.dataset
    draws, original = [], type(dataset).__getitem__

    def counted(self, draw):
        draws.append(draw)
        return original(self, draw)

    dataset.__class__ = type('Counted', (type(dataset),), {'__getitem__': counted})
    runner.train()
    assert len(draws) == 2 * 2  # two iterations of two crops


def test_a_validation_that_the_kill_cut_off_is_made_up_for(nifti_dataset, tmp_path):
    class KilledInValidation(Hook):
        def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            signal.raise_signal(signal.SIGTERM)

    options = {'iterations': 6, 'train_cfg.val_interval': 4, 'default_hooks.checkpoint.save_best': 'dice'}
    train(run_config(nifti_dataset, tmp_path / 'whole', **options))
    interrupt(run_config(nifti_dataset, tmp_path / 'parts', **options), KilledInValidation())
    assert not list((tmp_path / 'parts').glob('best_*'))
    resumed(run_config(nifti_dataset, tmp_path / 'parts', **options), 'made_up_for')
    names = [sorted(path.name for path in (tmp_path / run).glob('*.pth')) for run in ('whole', 'parts')]
    assert names[0] == names[1]
    assert any(name.startswith('best_dice_iter_4') for name in names[0]) or 'best_dice_iter_6.pth' in names[0]


def test_same_seed_gives_the_same_result_twice(nifti_dataset, tmp_path):
    for run in ('first', 'second'):
        train(run_config(nifti_dataset, tmp_path / run))
    assert_equal(everything(tmp_path / 'first'), everything(tmp_path / 'second'))


def _forked(config, *, killed_after=None):
    """Train in a child process; kill it after some seconds, if asked. Gives the exit status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            torch.set_num_threads(1)
            with open(os.devnull, 'w') as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
                train(config)
            status = 0
        finally:
            os._exit(status)
    if killed_after is not None:
        time.sleep(killed_after)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def kill_and_resume(root, tmp_path, trials, seed):
    """How many trials had a kill in the middle; every trial must end as the uninterrupted run."""
    options = {'iterations': ITERATIONS, 'default_hooks.checkpoint.interval': 1}
    started = time.monotonic()
    assert _forked(run_config(root, tmp_path / 'whole', **options)) == 0
    length = time.monotonic() - started
    whole, chance, cut = everything(tmp_path / 'whole'), random.Random(seed), 0
    for trial in range(trials):
        work_dir = tmp_path / f'trial_{trial}'
        _forked(run_config(root, work_dir, **options), killed_after=chance.uniform(0, length))
        newest, _ = newest_whole(CheckpointStore(work_dir))
        config = run_config(root, work_dir, **options)
        if newest is not None:
            cut += newest.name != f'iter_{ITERATIONS}.pth'
            config.merge_from_dict(dict(resume=True, load_from=str(newest)))
        config.experiment_name = f'trial_{trial}_{os.getpid()}'
        assert _forked(config) == 0, f'trial {trial} could not be resumed from {newest}'
        assert_equal(whole, everything(work_dir))
    return cut


def test_killed_at_a_random_moment_and_resumed_it_ends_the_same(nifti_dataset, tmp_path):
    kill_and_resume(nifti_dataset, tmp_path, trials=4, seed=0)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_five_hundred_kills(nifti_dataset, tmp_path):
    cut = kill_and_resume(nifti_dataset, tmp_path, trials=500, seed=1)
    print(f'500 trials, {cut} of them killed between the first and the last checkpoint, 0 divergences')
    assert cut > 100

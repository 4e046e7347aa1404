"""An interrupted and resumed training ends bit for bit where the uninterrupted one does."""

import pickle
import random
import signal

import numpy as np
import pytest
import torch
from comparison import differences, everything
from helpers_engine import run_config, train
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.utils import apply_to

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
    assert not differences(everything(tmp_path / 'whole'), everything(tmp_path / 'parts'))


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


def test_nothing_but_tensors_grows_with_the_step(nifti_dataset, tmp_path):
    """Lists of a log's every step would make resuming slower the further a training was."""
    train(run_config(nifti_dataset, tmp_path, iterations=8, **{'default_hooks.checkpoint.max_keep_ckpts': -1}))
    lengths = []
    for step in (3, 8):
        content = load_checkpoint_file(tmp_path / f'iter_{step}.pth')
        del content['meta']['time']
        bare = apply_to(content, lambda value: isinstance(value, torch.Tensor), lambda tensor: None)
        lengths.append(len(pickle.dumps(bare)))
    assert abs(lengths[0] - lengths[1]) < 20


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
    assert not differences(everything(tmp_path / 'first'), everything(tmp_path / 'second'))

"""Two processes with gloo on the CPU against one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import batch, tiny_segmentor_config
from ddp_worker import TWO_PROCESSES, train_in_turn
from mmengine.config import Config
from mmengine.optim import OptimWrapper

from medctx3d.engine.launch import prepare_launch
from medctx3d.models.segmentors import SequentialDistributedDataParallel
from medctx3d.registry import MODELS
from medctx3d.utils.config_check import ConfigError

HERE = Path(__file__).parent


def run_two_processes(arguments):
    paths = [str(HERE), str(HERE.parent), str(HERE.parent.parent)]
    environment = dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=os.pathsep.join(paths))
    launcher = ['-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    command = [sys.executable, *launcher, str(HERE / 'ddp_worker.py'), *map(str, arguments)]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert finished.returncode == 0, finished.stderr[-3000:]


def weights(folder: Path, launcher: str, name: str, rank: int = 0):
    return torch.load(folder / f'{launcher}_{name}_rank{rank}.pth', weights_only=True)


def test_two_processes_equal_one_with_the_same_global_batch_in_every_form(nifti_dataset, tmp_path):
    """Also with accumulation, and with a head whose parameter the last of several backward passes does not reach.

    Of MoCo the keys: two processes queue those of the first, then those of the second.
    """
    train_in_turn(nifti_dataset, tmp_path, 'none')
    run_two_processes([nifti_dataset, tmp_path, 'pytorch'])
    for name in TWO_PROCESSES:
        alone = weights(tmp_path, 'none', name.partition(' ')[0])
        first, second = (weights(tmp_path, 'pytorch', name, rank) for rank in range(2))
        assert any(key.startswith('teacher.') for key in alone) == (name != 'voco_paper')
        if name == 'moco':
            assert int(alone['filled']) == len(alone['queue']) == 16  # four batches of four, dealt in turn
            assert not torch.allclose(first['queue'], alone['queue'], atol=1e-3)
            alone['queue'] = alone['queue'].view(4, 2, 2, -1).transpose(1, 2).flatten(0, 2)
        for key, value in alone.items():
            assert torch.equal(first[key], second[key]), (name, key)  # student and teacher identical on all ranks
            assert torch.allclose(first[key].double(), value.double(), rtol=1e-4, atol=2e-5), (name, key)


@pytest.fixture
def group_of_one(tmp_path):
    torch.distributed.init_process_group('gloo', init_method=f'file://{tmp_path}/group', rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize('heads', [1, 2])
def test_gradients_are_exchanged_once_per_optimiser_step(group_of_one, heads):
    config = tiny_segmentor_config()
    if heads == 2:
        config['auxiliary']['small'] = dict(type='SmallFeatures')
    model = MODELS.build(dict(config, passes='sequential'))
    model.prime_teacher()
    wrapped = SequentialDistributedDataParallel(model)
    exchanged = []

    def watch(state, bucket):
        exchanged.append(len(bucket.parameters()))
        future = torch.futures.Future()
        future.set_result(bucket.buffer())
        return future

    wrapped.register_comm_hook(None, watch)
    optim_wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), accumulative_counts=2)
    trained = sum(weight.requires_grad for weight in model.parameters())
    inputs, samples = batch()
    for micro_batch in range(1, 5):
        wrapped.train_step(dict(inputs=list(inputs), data_samples=samples), optim_wrapper)
        assert sum(exchanged) == micro_batch // 2 * trained


def test_sequential_passes_choose_their_wrapper(monkeypatch):
    monkeypatch.setattr('medctx3d.engine.launch.is_distributed', lambda: True)
    config = Config(dict(model=dict(passes='sequential'), find_unused_parameters=True))
    prepare_launch(config, 'pytorch')
    assert config.model_wrapper_cfg.type == 'medctx3d.SequentialDistributedDataParallel'
    assert config.model_wrapper_cfg.find_unused_parameters
    other = Config(dict(model=dict(passes='sequential'), model_wrapper_cfg=dict(type='MMDistributedDataParallel')))
    with pytest.raises(ConfigError, match=r"'MMDistributedDataParallel', but model\.passes='sequential' needs"):
        prepare_launch(other, 'pytorch')
    alone = Config(dict(model=dict(passes='sequential')))
    prepare_launch(alone, 'none')
    assert 'model_wrapper_cfg' not in alone

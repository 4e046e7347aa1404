"""Two processes with gloo on the CPU against one."""

import os
import subprocess
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent


def run(arguments, *, processes):
    environment = dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=os.pathsep.join([str(HERE), str(HERE.parent)]))
    environment['PYTHONPATH'] += os.pathsep + str(HERE.parent.parent)
    launcher = (
        ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={processes}'] if processes > 1 else []
    )
    command = [sys.executable, *launcher, str(HERE / 'ddp_worker.py'), *map(str, arguments)]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert finished.returncode == 0, finished.stderr[-3000:]


def test_two_processes_equal_one_with_the_same_global_batch(nifti_dataset, tmp_path):
    run([nifti_dataset, tmp_path, 'none'], processes=1)
    run([nifti_dataset, tmp_path, 'pytorch'], processes=2)
    alone = torch.load(tmp_path / 'none_rank0.pth', weights_only=True)
    first = torch.load(tmp_path / 'pytorch_rank0.pth', weights_only=True)
    second = torch.load(tmp_path / 'pytorch_rank1.pth', weights_only=True)
    assert any(key.startswith('teacher.') for key in alone)
    for key, value in alone.items():
        assert torch.equal(first[key], second[key]), key  # student and teacher identical on all ranks
        assert torch.allclose(first[key].double(), value.double(), rtol=1e-4, atol=2e-5), key

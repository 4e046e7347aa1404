"""A training that is told to stop, or loses a process, as its user and the cluster see it."""

from __future__ import annotations

import os
import re
import runpy
import signal
import socket
import subprocess
import sys
from pathlib import Path

import conftest
import helpers_engine  # noqa: F401 - which keeps mmengine from laying configs out for seconds
import pytest
import torch
from comparison import differences, everything
from mmengine.config import Config
from test_bad_input import CONFIG, ROOT

from medctx3d.apis import start_checkpoint
from medctx3d.apis.start_checkpoint import agree_on_start, is_restarted
from medctx3d.engine.checkpoint import CheckpointError
from medctx3d.engine.checkpoint_store import write_checkpoint

SLOW = """
import time
from mmengine.hooks import Hook
from medctx3d.registry import HOOKS

@HOOKS.register_module()
class Slow(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        time.sleep(0.05)
"""
MORTAL = """
import os
import signal
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from medctx3d.registry import HOOKS

@HOOKS.register_module()
class Mortal(Hook):
    def __init__(self, end):
        self.end = end

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if get_rank() == 1 and runner.iter + 1 == 3 and os.environ['TORCHELASTIC_RESTART_COUNT'] == '0':
            if self.end == 'error':
                raise RuntimeError('a memory chip of this machine has failed')
            if self.end != 'none':
                os.kill(os.getpid(), getattr(signal, self.end))
"""


@pytest.fixture
def config(tmp_path):
    data = tmp_path / 'data'
    data.mkdir()
    conftest.nifti_dataset.__wrapped__(data)
    text = CONFIG.format(root=ROOT, data=data, work=tmp_path)
    path = tmp_path / 'tiny.py'
    path.write_text(text + "train_cfg['val_interval'] = 10000\ndefault_hooks['progress'] = dict(seconds=0.0)\n")
    return path


def plugin(config: Path, name: str, source: str, text: str) -> None:
    """Add a hook of the user's own to a config."""
    (config.parent / f'{name}.py').write_text(source)
    config.write_text(config.read_text() + f"custom_imports = dict(imports=['{name}'])\n" + text)


def command(config: Path, *arguments: str) -> list[str]:
    work = str(config.parent / 'work')
    return [sys.executable, str(ROOT / 'tools/train.py'), str(config), '--work-dir', work, *arguments]


def environment(config: Path, **more: str) -> dict[str, str]:
    path = f'{ROOT}:{config.parent}'
    return dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS='1', PYTHONUNBUFFERED='1', COLUMNS='200', **more)


@pytest.mark.timeout(600)
def test_sigterm_to_all_processes_saves_exits_with_0_and_requeues(config, tmp_path, monkeypatch, capsys):
    plugin(config, 'slow', SLOW, "custom_hooks = [dict(type='EMATeacherHook'), dict(type='Slow')]\n")
    cluster = tmp_path / 'bin'
    cluster.mkdir()
    (cluster / 'scontrol').write_text('#!/bin/sh\necho "$@" > "$0.called"\n')
    (cluster / 'scontrol').chmod(0o755)
    slurm = environment(config, SLURM_JOB_ID='4711', PATH=f'{cluster}:{os.environ["PATH"]}')
    options = ('--cfg-options', 'train_dataloader.num_workers=2', 'default_hooks.checkpoint.interval=100000')
    line = command(config, '--resume', '--requeue', *options, 'train_cfg.max_iters=100000')
    run = subprocess.Popen(line, env=slurm, stdout=subprocess.PIPE, encoding='utf-8', start_new_session=True)
    assert run.stdout is not None
    printed = [next(text for text in run.stdout if re.search(r'iteration \d+/100000', text))]
    os.killpg(run.pid, signal.SIGTERM)  # workers of the loader included
    printed += run.stdout
    assert run.wait() == 0, printed
    stopped = re.search(r'stopped by SIGTERM after iteration (\d+) of 100000, resume with --resume', printed[-1])
    assert stopped, printed
    assert (tmp_path / 'work/last_checkpoint').read_text().endswith(f'iter_{stopped[1]}.pth')
    assert (cluster / 'scontrol.called').read_text() == 'requeue 4711\n'
    rest = command(config, '--resume', *options, f'train_cfg.max_iters={int(stopped[1]) + 2}')
    monkeypatch.setattr(sys, 'argv', rest[1:])
    monkeypatch.syspath_prepend(str(tmp_path))  # where the plugin lies
    runpy.run_path(rest[1], run_name='__main__')
    assert f'iter_{stopped[1]}.pth, iteration {stopped[1]}' in capsys.readouterr().out


@pytest.fixture
def usual_kernels(monkeypatch):
    """Switch back what --deterministic switches."""
    monkeypatch.setenv('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.deterministic
    yield
    cudnn.benchmark, cudnn.deterministic = before
    torch.use_deterministic_algorithms(False)


def test_same_seed_trains_to_the_same_bits_also_deterministically(
    config, tmp_path, monkeypatch, capsys, usual_kernels
):
    """Through the tool, volumes read by workers or not; `--deterministic` changes kernels, on a CPU to the same."""
    found = []
    for run, workers, more in (('first', 2, []), ('second', 0, []), ('deterministic', 0, ['--deterministic'])):
        line = ['train.py', str(config), '--work-dir', str(tmp_path / run), '--seed', '3', *more]
        options = [f'train_dataloader.num_workers={workers}', 'train_cfg.max_iters=3']
        monkeypatch.setattr(sys, 'argv', [*line, '--cfg-options', *options])
        runpy.run_path(str(ROOT / 'tools/train.py'), run_name='__main__')
        assert ('use_deterministic_algorithms' in capsys.readouterr().out) == bool(more)
        found.append(everything(tmp_path / run))
    assert torch.are_deterministic_algorithms_enabled()
    assert not differences(found[0], found[1])
    assert not differences(found[0], found[2])


@pytest.mark.parametrize(
    ('restarts', 'count', 'earlier', 'expected'),
    [('0', '0', True, False), ('3', '0', False, False), ('3', '1', True, True), ('3', '0', True, None)],
)
def test_a_restarted_job_resumes_and_never_from_another_run(tmp_path, monkeypatch, restarts, count, earlier, expected):
    monkeypatch.setenv('TORCHELASTIC_MAX_RESTARTS', restarts)
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', count)
    if earlier:
        write_checkpoint(dict(meta=dict(iter=7)), tmp_path / 'iter_7.pth')
    if expected is None:
        with pytest.raises(ValueError, match=r'holds an earlier run \(iter_7\.pth\), and a restarted job could go on'):
            is_restarted(str(tmp_path))
    else:
        assert is_restarted(str(tmp_path)) is expected


def test_ranks_that_see_different_checkpoints_are_told(monkeypatch):
    monkeypatch.setattr(start_checkpoint, 'get_world_size', lambda: 2)
    monkeypatch.setattr(start_checkpoint, 'all_gather_object', lambda mine: [mine, 'no checkpoint on node1'])
    config = Config(dict(load_from='/scratch/run/iter_7.pth', work_dir='/scratch/run'))
    with pytest.raises(CheckpointError, match=r'rank 0 with iter_7\.pth on \S+, rank 1 with no checkpoint on node1'):
        agree_on_start(config)
    monkeypatch.setattr(start_checkpoint, 'all_gather_object', lambda mine: [mine, 'iter_7.pth on node1'])
    agree_on_start(config)


@pytest.mark.parametrize(
    ('arguments', 'job', 'words'),
    [(['--requeue', '--resume'], None, 'needs a Slurm job'), (['--requeue'], '7', 'needs --resume')],
)
def test_requeue_that_cannot_help_is_refused(arguments, job, words, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['train.py', 'config.py', *arguments])
    monkeypatch.delenv('SLURM_JOB_ID', raising=False)
    if job:
        monkeypatch.setenv('SLURM_JOB_ID', job)
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / 'tools/train.py'), run_name='__main__')
    assert stop.value.code == 1
    assert words in capsys.readouterr().err


def distributed(config: Path, *options: str, end: str, **more: str) -> subprocess.CompletedProcess:
    """Train on two ranks, of which one may come to an end in the third iteration."""
    hooks = f"custom_hooks = [dict(type='EMATeacherHook'), dict(type='Mortal', end={end!r})]\n"
    plugin(config, 'mortal', MORTAL, hooks + "default_hooks['watchdog'] = dict(limit=8)\n")
    with socket.socket() as probe:  # a port that nobody uses
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    env = environment(config, PORT=port, PYTHON=sys.executable, **more)
    line = ['bash', str(ROOT / 'tools/dist_train.sh'), str(config), '2', *command(config)[3:], '--cfg-options']
    return subprocess.run([*line, *options], env=env, capture_output=True, encoding='utf-8', check=False, timeout=300)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ('end', 'words'),
    [
        ('error', 'a memory chip of this machine has failed'),
        ('SIGKILL', r'Signal 9 \(SIGKILL\) received by PID'),
        ('SIGSTOP', r'rank 0 .*no step for .*\n.*rank 1 on \S+: last sign of life \d+ s ago, .* iteration \d'),
    ],
)
def test_a_job_that_lost_a_rank_ends_and_names_it(config, end, words):
    run = distributed(config, 'train_cfg.max_iters=100', end=end)
    assert run.returncode != 0
    assert re.search(words, run.stderr), run.stderr
    assert re.search(r'rank\s*: 1 \(local_rank: 1\)' if end != 'SIGSTOP' else r'host\s*: \S+', run.stderr)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_job_that_torchrun_starts_again_ends_as_if_no_rank_had_died(config, tmp_path):
    options = ('train_cfg.max_iters=6', 'default_hooks.checkpoint.max_keep_ckpts=-1')
    whole = distributed(config, *options, end='none')
    assert whole.returncode == 0, whole.stderr
    (tmp_path / 'work').rename(tmp_path / 'whole')
    run = distributed(config, *options, end='SIGKILL', RESTARTS='1')
    assert run.returncode == 0, run.stderr
    assert re.search(r'resuming from \S+iter_[23]\.pth, iteration [23]', run.stdout), run.stdout
    assert not differences(everything(tmp_path / 'whole'), everything(tmp_path / 'work'))

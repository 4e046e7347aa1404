"""A training that is told to stop, or loses a process, as its user and the cluster see it."""

from __future__ import annotations

import os
import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import conftest
import pytest
from test_bad_input import CONFIG, ROOT

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
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from medctx3d.registry import HOOKS

@HOOKS.register_module()
class Mortal(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if get_rank() == 1 and runner.iter + 1 == 3:
            raise RuntimeError('a memory chip of this machine has failed')
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
def test_sigterm_to_all_processes_saves_exits_with_0_and_requeues(config, tmp_path):
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
    after = subprocess.run(rest, env=environment(config), capture_output=True, encoding='utf-8', check=False)
    assert after.returncode == 0, after.stderr
    assert f'iter_{stopped[1]}.pth, iteration {stopped[1]}' in after.stdout


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


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_job_that_lost_a_rank_ends_and_names_it(config):
    plugin(config, 'mortal', MORTAL, "custom_hooks = [dict(type='EMATeacherHook'), dict(type='Mortal')]\n")
    env = environment(config, PORT=str(29600 + os.getpid() % 300), PYTHON=sys.executable)
    line = ['bash', str(ROOT / 'tools/dist_train.sh'), str(config), '2', *command(config)[3:]]
    options = ['--cfg-options', 'train_cfg.max_iters=100']
    run = subprocess.run([*line, *options], env=env, capture_output=True, encoding='utf-8', check=False)
    assert run.returncode != 0
    assert re.search(r'rank\s*: 1 \(local_rank: 1\)', run.stderr)
    assert 'a memory chip of this machine has failed' in run.stderr

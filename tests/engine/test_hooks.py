"""The teacher's schedule, and saving that survives a full disk."""

import errno
import math
import re
from pathlib import Path

import pytest
import torch
from helpers_engine import run_config, train
from mmengine.runner import Runner

from medctx3d.engine.checkpoint import load_checkpoint_file
from medctx3d.engine.hooks import EMATeacherHook
from medctx3d.engine.hooks import safe_checkpoint_hook as saving
from medctx3d.evaluation import VolumeMetric


def test_cosine_schedule_starts_and_ends_as_stated():
    hook = EMATeacherHook(0.996, 1.0)
    decays = [hook.decay_at(step, 1000) for step in range(1, 1001)]
    assert decays[0] == pytest.approx(0.996)
    assert decays[-1] == pytest.approx(1.0)
    assert decays == sorted(decays)
    assert min(decays[300:]) >= 0.99  # the released code never leaves 0..0.05
    assert hook.decay_at(500, 1000) == pytest.approx(1 - 0.004 * (math.cos(math.pi * 499 / 999) + 1) / 2)


def test_linear_and_constant_schedules():
    assert EMATeacherHook(0.9, 1.0, schedule='linear').decay_at(51, 101) == pytest.approx(0.95)
    assert EMATeacherHook(0.9, 1.0, schedule='constant').decay_at(51, 101) == 0.9


def test_adaptive_warmup_lets_a_young_teacher_follow():
    hook = EMATeacherHook(0.996, warmup='adaptive')
    assert hook.decay_at(1, 10000) == pytest.approx(2 / 11)
    assert hook.decay_at(9000, 10000) == pytest.approx(EMATeacherHook(0.996).decay_at(9000, 10000), abs=1e-3)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(decay=1.5), 'decay must lie in 0..1'),
        (dict(end_decay=-0.1), 'end_decay must lie in 0..1'),
        (dict(schedule='step'), 'schedule must be'),
        (dict(warmup='linear'), 'warmup must be'),
    ],
)
def test_impossible_schedules_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        EMATeacherHook(**options)


def test_full_disk_leaves_the_previous_checkpoint_whole(nifti_dataset, tmp_path, monkeypatch):
    """The second save fails half way: the first file must stay, readable and named by last_checkpoint."""
    work_dir = tmp_path / 'run'
    whole_write = Path.write_bytes
    saves = []

    def disk_that_fills(self, data):
        if 'iter_' in self.name:
            saves.append(self.name)
            if len(saves) == 2:
                whole_write(self, bytes(data)[: len(data) // 2])
                raise OSError(errno.ENOSPC, 'No space left on device')
        return whole_write(self, data)

    monkeypatch.setattr(saving.Path, 'write_bytes', disk_that_fills)
    with pytest.raises(OSError, match=re.escape('checkpoint of step 6 could not be written')):
        train(run_config(nifti_dataset, work_dir))
    monkeypatch.undo()
    assert [path.name for path in work_dir.glob('*.pth')] == ['iter_3.pth']
    last = (work_dir / 'last_checkpoint').read_text()
    assert load_checkpoint_file(last)['meta']['iter'] == 3


def test_only_the_newest_checkpoints_are_kept(nifti_dataset, tmp_path):
    config = run_config(nifti_dataset, tmp_path / 'run')
    config.default_hooks.checkpoint.update(interval=2, max_keep_ckpts=2)
    train(config)
    assert sorted(path.name for path in (tmp_path / 'run').glob('*.pth')) == ['iter_4.pth', 'iter_6.pth']


def test_progress_prints_plain_lines_without_a_terminal(nifti_dataset, tmp_path, capsys):
    config = run_config(nifti_dataset, tmp_path / 'run', iterations=3)
    config.default_hooks.progress.seconds = 0
    train(config)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith('epoch')]
    assert len(lines) == 3
    assert re.search(r'epoch 2  iteration 3/3  ETA 0 s  loss \d+\.\d+ ', lines[-1])
    assert 'medcontext.consistency' in lines[-1]


def test_weights_survive_a_save_bit_for_bit(nifti_dataset, tmp_path):
    runner = train(run_config(nifti_dataset, tmp_path / 'run', iterations=3))
    saved = load_checkpoint_file(tmp_path / 'run/iter_3.pth')['state_dict']
    assert all(torch.equal(value, saved[key]) for key, value in runner.model.state_dict().items())


def test_previous_best_stays_until_the_new_one_is_whole(nifti_dataset, tmp_path, monkeypatch):
    config = run_config(nifti_dataset, tmp_path / 'run')
    config.train_cfg.val_interval = 2
    config.default_hooks.checkpoint.update(interval=-1, save_best='dice', rule='less', max_keep_ckpts=-1)
    scores = iter([3.0, 2.0, 1.0])
    original = Runner.save_checkpoint
    bests = []

    def save_and_look(self, out_dir, filename, *args, **kwargs):
        original(self, out_dir, filename, *args, **kwargs)
        bests.append(len(list((tmp_path / 'run').glob('best_*.pth'))))

    monkeypatch.setattr(Runner, 'save_checkpoint', save_and_look)
    monkeypatch.setattr(VolumeMetric, 'compute_metrics', lambda self, results: {'dice': next(scores)})
    train(config)
    assert max(bests) == 2  # the old best was still there when the new one was whole
    assert [path.name for path in (tmp_path / 'run').glob('best_*.pth')] == ['best_dice_iter_6.pth']

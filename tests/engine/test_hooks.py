"""The teacher's schedule, and saving that survives a full disk."""

import math
import re

import pytest
from helpers_engine import run_config, train

from medctx3d.engine.hooks import EMATeacherHook


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


def test_progress_prints_plain_lines_without_a_terminal(nifti_dataset, tmp_path, capsys):
    config = run_config(nifti_dataset, tmp_path / 'run', iterations=3)
    config.default_hooks.progress.seconds = 0
    train(config)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith('epoch')]
    assert len(lines) == 3
    assert re.search(r'epoch 2  iteration 3/3  ETA 0 s  loss \d+\.\d+ ', lines[-1])
    assert 'medcontext.consistency' in lines[-1]

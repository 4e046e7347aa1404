from __future__ import annotations

import argparse
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / 'tools' / 'benchmark' / 'step.py'
NARROW = ['model.network.backbone.channels=(4,8)', 'model.network.backbone.strides=(2,2)']
FORMS = ('sum', 'sequential', 'concatenated')


@pytest.fixture
def tool():
    return runpy.run_path(str(TOOL), run_name='step')


def test_arms_in_processes_of_their_own_end_in_one_line_of_json(tool, monkeypatch, capsys):
    few = ['--steps', '1', '--repeats', '1', '--batch-size', '1', '--cfg-options', *NARROW]
    monkeypatch.setattr(sys, 'argv', ['step.py', *few])
    monkeypatch.setitem(tool['main'].__globals__, 'ARMS', ('baseline', 'sequential'))  # each takes seconds to start
    tool['main']()
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures['device']
    assert figures['baseline']['ms'] > 0
    assert figures['sequential']['time_ratio'] > 1
    assert figures['sequential']['memory_ratio'] > 0


def test_deterministic_kernels_are_compared_with_the_usual_ones(tool, monkeypatch, capsys):
    few = ['--deterministic', '--steps', '1', '--repeats', '1', '--batch-size', '1', '--cfg-options', *NARROW]
    monkeypatch.setattr(sys, 'argv', ['step.py', *few])
    asked = dict(usual=dict(seconds=0.2, megabytes=80, device='CPU'))
    asked['deterministic'] = dict(asked['usual'], seconds=0.3)
    monkeypatch.setitem(
        tool['main'].__globals__, 'run_in_turns', lambda arms, steps: {arm: [asked[arm]] for arm in arms}
    )
    tool['main']()
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures['deterministic']['time_ratio'] == 1.5


def test_figures_are_medians_and_peaks_over_those_of_the_baseline(tool, capsys):
    def given(*pairs):
        return [dict(seconds=seconds, megabytes=megabytes, device='CPU') for seconds, megabytes in pairs]

    answers = dict.fromkeys(FORMS, given((0.2, 150), (9.0, 160), (0.3, 90))) | {'sum': given((0.5, 10))}
    tool['show'](dict(baseline=given((0.1, 80), (0.2, 70), (0.05, 60)), **answers), argparse.Namespace(config='x.py'))
    table, last = capsys.readouterr().out.rstrip().rsplit('\n', 1)
    figures = json.loads(last)
    assert all(form in table for form in FORMS)
    assert figures['baseline'] == dict(ms=100.0, peak_mb=80.0, time_ratio=1.0, memory_ratio=1.0)
    assert figures['sequential'] == dict(ms=300.0, peak_mb=160.0, time_ratio=3.0, memory_ratio=2.0)
    assert figures['sum'] == dict(ms=500.0, peak_mb=10.0, time_ratio=5.0, memory_ratio=0.125)


@pytest.mark.parametrize('arm', ['baseline', *FORMS])
def test_every_arm_takes_its_form_of_the_step(tool, arm):
    namespace = argparse.Namespace(arm=arm, batch_size=1)
    config = tool['load_config'](tool['CONFIG'], {'model.network.backbone.channels': (4, 8, 8, 8)})
    model, batch = tool['build'](config, namespace, tool['torch'].device('cpu'))
    assert model.passes == ('sum' if arm == 'baseline' else arm)
    assert (model.teacher is None, len(model.auxiliary)) == ((True, 0) if arm == 'baseline' else (False, 1))
    assert batch['inputs'][0].shape == (1, 48, 48, 32)


def test_an_arm_that_ends_is_named(tool):
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process = subprocess.Popen([sys.executable, '-c', 'raise SystemExit(3)'], **pipes)
    process.wait()
    with pytest.raises(ChildProcessError, match="arm 'concatenated' ended with code 3"):
        tool['ask']('concatenated', process)
    process.communicate()

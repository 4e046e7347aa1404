from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import conftest
import helpers_engine  # noqa: F401 - which keeps mmengine from laying configs out for seconds
import torch
from test_bad_input import CONFIG, ROOT

from medctx3d.apis.training import set_randomness, train_config
from medctx3d.engine.launch import open_config


def test_a_run_is_resumed_at_every_step_asked_for_and_the_ratio_told(tmp_path: Path, monkeypatch, capsys):
    data = tmp_path / 'data'
    data.mkdir()
    conftest.nifti_dataset.__wrapped__(data)
    path = tmp_path / 'tiny.py'
    path.write_text(CONFIG.format(root=ROOT, data=data, work=tmp_path), encoding='utf-8')
    config = open_config(path, {'work_dir': str(tmp_path / 'run'), 'train_cfg.max_iters': 1})
    set_randomness(config, None)
    train_config(config)
    tool = runpy.run_path(str(ROOT / 'tools/benchmark/resume.py'), run_name='resume')
    stretched = tool['stretched']([torch.arange(3.0)], 7)
    assert stretched[0].tolist() == [0, 1, 2, 0, 1, 2, 0]
    line = ['resume.py', str(path), str(tmp_path / 'run/iter_1.pth'), '--steps', '1', '50', '--rounds', '1']
    monkeypatch.setattr(sys, 'argv', line)
    tool['main']()
    printed = capsys.readouterr().out
    figures = json.loads(printed.splitlines()[-1])
    assert 'resumed at step 50: first step after' in printed
    assert figures['ratio'] == round(figures['seconds']['50'] / figures['seconds']['1'], 3)

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import torch

TOOL = Path(__file__).parents[2] / 'tools' / 'benchmark' / 'data.py'


def test_last_line_is_json_with_the_figures(monkeypatch, capsys):
    threads = torch.get_num_threads()
    sizes = ['--shape', '48', '48', '40', '--small-shape', '40', '40', '40']
    monkeypatch.setattr(sys, 'argv', ['data.py', *sizes, '--size', '16', '--crops', '20', '--monai-crops', '2'])
    try:
        runpy.run_path(str(TOOL), run_name='__main__')
    finally:
        torch.set_num_threads(threads)
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(figures) >= {'ratio', 'ours_crops_per_s', 'monai_crops_per_s', 'flatness'}
    assert all(value > 0 for value in figures.values())
    assert figures['ratio'] > 1

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np

TOOL = Path(__file__).parents[2] / 'tools' / 'benchmark' / 'metrics.py'


def test_last_line_is_json_and_the_reference_agrees(monkeypatch, capsys):
    small = ['--shape', '64', '64', '30', '--repeats', '2', '--reference']
    monkeypatch.setattr(sys, 'argv', ['metrics.py', *small])
    runpy.run_path(str(TOOL), run_name='__main__')
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures['reference_largest_difference_mm'] < 1e-9
    assert 0 < figures['cpu_s'] < figures['reference_cpu_s']
    assert (figures['organs'], figures['metrics']) == (13, 10)


def test_every_organ_is_in_truth_and_prediction_and_they_differ():
    tool = runpy.run_path(str(TOOL), run_name='benchmark')
    truth, prediction = (tool['draw']((96, 96, 48), predicted=predicted) for predicted in (False, True))
    assert set(np.unique(truth)) == set(np.unique(prediction)) == set(range(14))
    assert 0.001 < (truth != prediction).mean() < 0.1

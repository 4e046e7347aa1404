"""The example of the how-to page, run as it stands: its table holds what the tool computes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medctx3d.apis.rescoring import Rescoring, rescore
from medctx3d.apis.truth_files import find_truth, label_files
from medctx3d.evaluation.metrics.conventions import CONVENTIONS
from medctx3d.evaluation.metrics.score_rules import ScoreRules

PAGE = Path(__file__).parents[2] / 'docs' / 'how_to' / 'score_by_a_convention.md'


def test_the_figures_of_the_page_are_those_of_its_example(tmp_path, monkeypatch):
    text = PAGE.read_text(encoding='utf-8')
    monkeypatch.chdir(tmp_path)
    exec(compile(re.search(r'```python\n(# cases.py\n.*?)```', text, re.DOTALL)[1], 'cases.py', 'exec'), {})
    truth = find_truth(Path('truth'), metainfo=dict(classes=['background', 'gallbladder']))
    shown = re.findall(r'^\| `([a-z-]+)` \| (\d\.\d+) \| (\d+\.\d) \| (\d\.\d+) \| (\d+) \|$', text, re.MULTILINE)
    assert {row[0] for row in shown} == set(CONVENTIONS)
    for convention, dice, hd95, nsd, cases in shown:
        rules = ScoreRules(('dice', 'hd95', 'nsd'), convention=convention)
        found = rescore(label_files(Path('predicted')), truth, Rescoring(rules))['classes']['gallbladder']
        assert found['dice'] == pytest.approx(float(dice), abs=6e-4)
        assert found['hd95'] == pytest.approx(float(hd95), abs=0.06)
        assert found['nsd'] == pytest.approx(float(nsd), abs=6e-4)
        assert found['cases'] == int(cases)

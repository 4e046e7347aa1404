"""tools/fewshot.py and tools/crossval.py as a person calls them."""

from __future__ import annotations

import json
import runpy
import sys

import pytest
from helpers_studies import PLAIN, ROOT, ForkedJob, make_data, write_config

from medctx3d.studies import schedule


@pytest.fixture(scope='module')
def bench(tmp_path_factory):
    folder = tmp_path_factory.mktemp('bench')
    data = make_data(folder / 'data')
    write_config(folder / 'medcontext.py', data)
    write_config(folder / 'plain.py', data, PLAIN)
    return folder


def call(bench, tool, *arguments):
    """Run a tool in this process; its jobs are processes of their own."""
    argv, sys.argv = sys.argv, [f'{tool}.py', *(str(argument) for argument in arguments)]
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(bench)
            patch.setenv('PYTHONPATH', str(ROOT))
            runpy.run_path(str(ROOT / 'tools' / f'{tool}.py'), run_name='__main__')
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = argv
    return 0


@pytest.fixture
def forked(monkeypatch):
    monkeypatch.setattr(schedule, 'Popen', ForkedJob)


def test_few_shot_study_from_configs_to_report_and_nothing_twice(bench, capsys, forked):
    arguments = ('plain.py', 'medcontext.py', '--shots', '3', '1', '--seeds', 1, '--work-dir', 'study')
    assert call(bench, 'fewshot', *arguments) == 0
    told = capsys.readouterr().out
    assert '4/4  ' in told
    assert 'report.md, results.json and results.csv lie in' in told
    results = json.loads((bench / 'study' / 'results.json').read_text())
    assert {(cell['arm'], cell['setting']) for cell in results['scores']} == {
        (arm, setting) for arm in ('plain', 'medcontext') for setting in ('shots-1', 'shots-3')
    }
    train = {(job['arm'], job['group']): job['train'] for job in results['jobs']}
    assert train['plain', 'shots-1'] == train['medcontext', 'shots-1'] == train['plain', 'shots-3'][:1]
    assert {len(cell['seed_means']) for cell in results['scores']} == {1}
    assert (bench / 'study' / 'dice_by_shots.png').stat().st_size > 10_000

    done = {path: path.stat().st_mtime_ns for path in (bench / 'study' / 'jobs').rglob('*')}
    assert call(bench, 'fewshot', *arguments) == 0
    assert done == {path: path.stat().st_mtime_ns for path in (bench / 'study' / 'jobs').rglob('*')}
    assert call(bench, 'fewshot', '--report', '--work-dir', 'study') == 0
    capsys.readouterr()
    assert call(bench, 'crossval', 'plain.py', '--folds', 2, '--work-dir', 'study') == 1
    assert 'kind: few-shot there, cross-validation now' in capsys.readouterr().err


def test_cross_validation_scores_every_training_case_once(bench, capsys, forked):
    assert call(bench, 'crossval', 'plain.py', '--folds', 2, '--work-dir', 'folds', '--workers', 2) == 0
    results = json.loads((bench / 'folds' / 'results.json').read_text())
    assert results['scores'][0]['cases'] == 4
    assert 'all folds  plain  Dice' in capsys.readouterr().out


def test_a_job_runs_in_a_process_of_its_own(bench):
    assert call(bench, 'fewshot', 'plain.py', '--shots', 1, '--seeds', 1, '--work-dir', 'own') == 0
    log = next((bench / 'own' / 'jobs').rglob('job.log')).read_text()
    assert 'iteration 3/3' in log
    assert 'Traceback' not in log


REFUSED = {  # arguments, words of the message
    'more shots than volumes': (('plain.py', '--shots', '9'), 'from 1 to 4, the volumes of the training split'),
    'no seeds': (('plain.py', '--shots', '1', '--seeds', '0'), '--seeds must be at least 1'),
    'no workers': (('plain.py', '--shots', '1', '--workers', '0'), '--workers must be at least 1'),
    'no iterations': (('plain.py', '--shots', '1', '--iterations', '0'), '--iterations must be at least 1'),
    'no config': (('--shots', '1'), 'give at least one CONFIG'),
    'one name twice': (('plain.py', 'plain.py', '--shots', '1'), 'arms must have different names'),
    'no such arm': (('plain.py', '--shots', '1', '--against', 'other'), "an arm of the study (plain), got 'other'"),
    'no study': (('--report',), 'it has no study.json'),
    'inner split of one': (('plain.py', '--shots', '1', '--select', 'inner'), 'ask for more shots'),
}


@pytest.mark.parametrize('what', REFUSED)
def test_what_cannot_be_studied_is_refused_before_a_folder_is_made(what, bench, capsys):
    arguments, words = REFUSED[what]
    assert call(bench, 'fewshot', *arguments, '--work-dir', 'refused') == 1
    assert words in capsys.readouterr().err
    assert not (bench / 'refused').exists()


def test_a_class_that_a_subset_does_not_show_is_told_and_not_refused(bench, capsys, monkeypatch):
    monkeypatch.setattr(schedule, 'JOB_COMMAND', ('false',))
    classes = [f"{stage}_dataloader.dataset.metainfo.classes=('background','near','far','rare')" for stage in STAGES]
    options = ('model.network.decode_head.num_classes=4', *classes)
    assert call(
        bench, 'fewshot', 'plain.py', '--shots', 1, '--seeds', 1, '--work-dir', 'rare', '--cfg-options', *options
    )
    told = capsys.readouterr().out
    assert 'warning: no volume of shots-1 seed-0 shows rare' in told
    assert 'plain shots-1 seed-0 FAILED with status 1' in told


STAGES = ('train', 'test')

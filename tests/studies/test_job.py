"""One job: trained on its cases, tested on what it has not seen, taken up where it stopped."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from helpers_studies import PLAIN, ROOT, ForkedJob, make_data, write_config

from medctx3d.studies.arms import load_arms, prepare_arms
from medctx3d.studies.job import Job, run_job
from medctx3d.studies.study import note_jobs, open_study


@pytest.fixture(scope='module')
def work_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp('job')
    arms = load_arms([write_config(folder / 'one.py', make_data(folder / 'data'), PLAIN)])
    open_study(folder / 'study', arms, kind='few-shot', select='last', command='')
    prepare_arms(arms)
    return folder / 'study'


def run(work_dir, job):
    note_jobs(work_dir, [job])
    folder = job.folder(work_dir)
    ForkedJob([folder]).process.join()  # as a process has one Runner: two of one second would share mmengine's log
    return [json.loads((folder / name).read_text()) for name in ('results.json', 'done.json')]


def cases(results):
    return [case['case'] for case in results['cases']]


def test_a_job_tests_its_last_checkpoint_and_keeps_none(work_dir):
    job = Job('one', 'shots-2', 0, train=('image3', 'image1'))
    results, done = run(work_dir, job)
    assert cases(results) == ['image5', 'image6']
    assert (done['iterations'], done['checkpoint'], done['resumed']) == (3, 'iter_3.pth', False)
    assert done['cpu_seconds'] > 0
    assert not list(job.folder(work_dir).rglob('*.pth'))
    assert job.is_done(work_dir)


def test_a_job_killed_before_its_test_goes_on_from_the_checkpoint(work_dir):
    job = Job('one', 'shots-2', 3, train=('image3', 'image1'), keep_checkpoints=True)
    first, _ = run(work_dir, job)
    for name in ('done.json', 'results.json', 'per_case.csv'):
        (job.folder(work_dir) / name).unlink()
    (job.folder(work_dir) / '.tmp-12-results.json').touch()
    again, done = run(work_dir, job)
    assert done['resumed']
    assert again['cases'] == first['cases']
    assert not list(job.folder(work_dir).glob('.tmp-*'))


def test_the_seed_of_a_job_is_that_of_its_training(work_dir):
    weights = []
    for group, seed in (('shots-1', 5), ('shots-2', 5), ('shots-1', 6)):
        job = Job('one', group, seed, train=('image3',), keep_checkpoints=True)
        run(work_dir, job)
        state = torch.load(job.folder(work_dir) / 'iter_3.pth', weights_only=True)['state_dict']
        weights.append(torch.cat([value.flatten().float() for value in state.values()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize('iterations', [20, 40])
def test_a_schedule_follows_the_iterations_of_the_study(iterations, tmp_path):
    schedule = (ROOT / 'configs/_base_/schedules/finetune_sawtooth.py').read_text(encoding='utf-8')
    own = re.sub('_base_ = .*', '', schedule).replace('stage = 0.05', 'stage = 0.2')
    config = write_config(
        tmp_path / 'one.py',
        make_data(tmp_path / 'data'),
        PLAIN + own + 'default_hooks = dict(logger=dict(interval=1))\n',
    )
    arms = load_arms([config], iterations=iterations)
    open_study(tmp_path / 'study', arms, kind='few-shot', select='last', command='')
    prepare_arms(arms)
    job = Job('one', 'shots-1', 0, train=('image3',))
    run(tmp_path / 'study', job)
    log = next(job.folder(tmp_path / 'study').glob('*/vis_data/scalars.json')).read_text(encoding='utf-8')
    steps = [step for step in map(json.loads, log.splitlines()) if 'frozen' in step]
    rate, stage = [step['lr'] for step in steps], iterations // 5
    assert [step['frozen'] for step in steps] == [1.0] * stage + [0.0] * (iterations - stage)
    assert [at for at in range(1, iterations) if rate[at] < rate[at - 1]] == [stage, *range(2 * stage + 1, iterations)]


def test_a_fold_is_scored_on_the_cases_it_left_out(work_dir):
    results, _ = run(work_dir, Job('one', 'fold-1', 0, train=('image2', 'image3'), test=('image0', 'image1')))
    assert cases(results) == ['image0', 'image1']


def test_an_inner_split_chooses_the_checkpoint_and_the_test_split_is_only_tested(work_dir):
    job = Job('one', 'shots-3', 0, train=('image3', 'image2'), inner=('image0',))
    results, done = run(work_dir, job)
    assert cases(results) == ['image5', 'image6']
    assert done['checkpoint'].startswith('best_')
    log = (next(job.folder(work_dir).glob('*/vis_data/scalars.json'))).read_text().splitlines()
    validations = [scores['dice'] for scores in map(json.loads, log) if 'dice' in scores][:3]
    assert done['checkpoint'] == f'best_dice_iter_{1 + int(np.argmax(validations))}.pth'
    assert results['mean']['dice'] not in validations


def test_a_job_that_trains_on_a_case_it_is_tested_on_is_refused(work_dir):
    job = Job('one', 'fold-2', 0, train=('image2', 'image3'), test=('image3',))
    with pytest.raises(ValueError, match='must not share a case'):
        run_job(job, work_dir)

"""The folder of a study: it may grow, and everything in it must stay what it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers_studies import PLAIN, make_data, write_config, write_finished

from medctx3d.studies.arms import load_arms
from medctx3d.studies.job import Job
from medctx3d.studies.study import note_jobs, open_study, read_study

TERMS = dict(kind='few-shot', select='last', command='python tools/fewshot.py')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp('data'))


def arm(folder, data, name='one', extra=PLAIN, **options):
    return load_arms([write_config(folder / f'{name}.py', data, extra)], **options)[0]


@pytest.fixture(scope='module')
def opened(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp('opened')
    open_study(folder / 'study', [arm(folder, data)], **TERMS)
    return folder / 'study'


@pytest.fixture
def work_dir(tmp_path, opened):
    return Path(shutil.copytree(opened, tmp_path / 'study'))


def test_a_study_opens_again_and_takes_more_arms(tmp_path, data, work_dir):
    open_study(work_dir, [arm(tmp_path, data), arm(tmp_path, data, 'two', '')], **TERMS)
    open_study(work_dir, [arm(tmp_path, data, 'two', '')], **TERMS)
    assert read_study(work_dir)['arms'] == ['one', 'two']
    assert (work_dir / 'commands.txt').read_text().count('fewshot') == 3
    assert sorted(path.stem for path in (work_dir / 'arms').iterdir()) == ['one', 'two']


def test_a_changed_config_is_refused_with_the_difference(tmp_path, data, work_dir):
    changed = arm(tmp_path, data, options={'optim_wrapper.optimizer.lr': 0.5})
    with pytest.raises(ValueError, match=r'config one changed(.|\n)*-.*lr=0.004(.|\n)*\+.*lr=0.5'):
        open_study(work_dir, [changed], **TERMS)


def test_an_arm_of_other_length_is_refused_also_when_it_comes_later(tmp_path, data, work_dir):
    with pytest.raises(ValueError, match='iterations: 3 there, 5 now'):
        open_study(work_dir, [arm(tmp_path, data, 'two', iterations=5)], **TERMS)
    equal = arm(tmp_path, data, 'three', "equal_compute = 2\ntrain_cfg['max_iters'] = 6\n")
    open_study(work_dir, [equal], **TERMS)


@pytest.mark.parametrize(('key', 'value'), [('kind', 'cross-validation'), ('select', 'inner')])
def test_a_folder_of_another_study_is_refused(tmp_path, data, work_dir, key, value):
    with pytest.raises(ValueError, match=f'another study:\n  {key}: .* there, {value} now'):
        open_study(work_dir, [arm(tmp_path, data)], **{**TERMS, key: value})


def test_another_training_split_is_refused(tmp_path, data, work_dir):
    fewer = arm(tmp_path, data, 'two', "train_dataloader['dataset']['cases'] = ('image0', 'image1')\n")
    with pytest.raises(ValueError, match=r'train: 4 volumes .* there, 2 volumes'):
        open_study(work_dir, [fewer], **TERMS)


def test_a_folder_with_other_things_is_refused_and_left_as_it_is(tmp_path, data):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / 'iter_3.pth').touch()
    with pytest.raises(ValueError, match=r'must be empty or hold a study, it has iter_3.pth'):
        open_study(tmp_path / 'run', [arm(tmp_path, data)], **TERMS)
    assert [path.name for path in (tmp_path / 'run').iterdir()] == ['iter_3.pth']


def test_a_folder_without_study_cannot_be_reported_on(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'it has no study.json'):
        read_study(tmp_path)


def test_a_finished_job_that_was_drawn_otherwise_is_refused(tmp_path):
    job = Job('one', 'shots-1', 0, train=('image3',))
    write_finished(tmp_path, job, {'image5': {'near': {'dice': 0.5}}})
    note_jobs(tmp_path, [job._replace(threads=4)])
    with pytest.raises(ValueError, match=r'trained on other cases \(image3\) than this version would draw \(image0\)'):
        note_jobs(tmp_path, [job._replace(train=('image0',))])
    assert json.loads((job.folder(tmp_path) / 'job.json').read_text())['threads'] == 1

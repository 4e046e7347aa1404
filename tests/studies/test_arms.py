"""Configs that may be compared, and those that may not."""

from __future__ import annotations

import json

import pytest
from helpers_studies import PLAIN, make_data, write_config

from medctx3d.studies.arms import load_arms
from medctx3d.utils.config_check import ConfigError


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp('data'))


@pytest.fixture
def configs(data, tmp_path):
    """Two configs; what is given is appended to the second."""

    def write(extra: str = '') -> list[str]:
        return [write_config(tmp_path / 'one.py', data), write_config(tmp_path / 'two.py', data, PLAIN + extra)]

    return write


def test_arms_share_data_and_iterations_and_lose_their_validation(configs):
    arms = load_arms(configs())
    assert [arm.name for arm in arms] == ['one', 'two']
    assert [len(arms[0].train), len(arms[0].test)] == [4, 2]
    assert {arm.iterations for arm in arms} == {3}
    assert {arm.config.val_dataloader for arm in arms} == {None}
    assert arms[0].reported == ['near', 'far']


def test_iterations_are_those_asked_for_times_equal_compute(configs):
    arms = load_arms(configs('equal_compute = 7 / 3\n'), iterations=10)
    assert [arm.iterations for arm in arms] == [10, 23]


def test_a_config_that_states_equal_compute_must_keep_it(configs):
    paths = configs("equal_compute = 7 / 3\ntrain_cfg['max_iters'] = 7\n")
    assert [arm.iterations for arm in load_arms(paths)] == [3, 7]
    paths = configs("equal_compute = 7 / 3\ntrain_cfg['max_iters'] = 8\n")
    with pytest.raises(ConfigError, match=r'max_iters: 3 \(one\), 8 \(two\); equal_compute = 2.33333 .* asks for 7'):
        load_arms(paths)


UNEQUAL = {  # what is appended to the second config, and words of the message
    'iterations': ("train_cfg['max_iters'] = 4\n", r'max_iters: 3 \(one\), 4 \(two\); or state equal_compute'),
    'training': (
        "train_dataloader['dataset']['cases'] = ('image0', 'image2')\n",
        r'training split: 4 volumes \(one\), 2 \(two\); image1, image3 only in one',
    ),
    'test': (
        "test_dataloader['dataset']['split'] = 'validation'\n",
        r'test split: 2 volumes \(one\), 1 \(two\); image5, image6 only in one; image4 only in two',
    ),
    'rules': ("test_evaluator['grid'] = 'working'\n", r"test_evaluator.grid: 'source' \(one\), 'working' \(two\)"),
    'classes': (
        "for loader in (train_dataloader, test_dataloader):\n    loader['dataset']['metainfo'] = "
        "dict(_delete_=True, classes=('background', 'close', 'far'))\n",
        r'metainfo.classes',
    ),
}


@pytest.mark.parametrize('what', UNEQUAL)
def test_unequal_configs_are_refused_with_the_difference(what, configs):
    extra, words = UNEQUAL[what]
    with pytest.raises(ConfigError, match=f'one and two cannot be compared(.|\n)*{words}'):
        load_arms(configs(extra))


UNFIT = {
    'no test split': ('test_dataloader = None\n', 'has no test_dataloader'),
    'epochs': ('train_cfg = dict(_delete_=True, by_epoch=True, max_epochs=2)\n', 'max_iters must give the length'),
    'other metric': (
        "test_evaluator = dict(_delete_=True, type='DumpResults', out_file_path='a.pkl')\n",
        'VolumeMetric',
    ),
    'factor': ("equal_compute = 'twice'\n", 'equal_compute must be a number above 0'),
    'wrapper': (
        "inner = dict(split='training', pipeline=crop, **d)\n"
        "train_dataloader['dataset'] = dict(_delete_=True, type='RepeatDataset', times=2, dataset=inner)\n",
        'must be one VolumeDataset',
    ),
}


@pytest.mark.parametrize('what', UNFIT)
def test_a_config_that_no_study_can_use_is_refused(what, configs):
    extra, words = UNFIT[what]
    with pytest.raises(ConfigError, match=words):
        load_arms(configs(extra)[1:])


def test_two_arms_of_one_name_are_refused_until_one_is_named(configs):
    path = configs()[0]
    with pytest.raises(ConfigError, match='one_2='):
        load_arms([path, path])
    assert [arm.name for arm in load_arms([path, f'again={path}'])] == ['one', 'again']
    with pytest.raises(ConfigError, match='the name of an arm'):
        load_arms([f'a/b={path}'])


def test_an_unlabelled_test_split_is_refused(configs, data):
    content = json.loads((data / 'dataset.json').read_text())
    content['test'] = [entry['image'] for entry in content['test']]
    (data / 'bare.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match='needs a label to be scored'):
        load_arms(configs("test_dataloader['dataset']['ann_file'] = 'bare.json'\n")[1:])

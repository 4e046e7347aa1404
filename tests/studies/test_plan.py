"""From arms to jobs: the same cases for every arm, and what cannot be drawn is refused."""

from __future__ import annotations

import pytest
from helpers_studies import PLAIN, make_data, write_config

from medctx3d.studies.arms import load_arms
from medctx3d.studies.plan import JobOptions, few_shot_jobs, fold_jobs, parse_shots, unseen_classes


@pytest.fixture(scope='module')
def arms(tmp_path_factory):
    folder = tmp_path_factory.mktemp('plan')
    data = make_data(folder / 'data')
    rest = "train_dataloader['dataset']['unlabelled_split'] = 'training'\n"
    paths = [write_config(folder / f'{name}.py', data, extra) for name, extra in (('one', PLAIN), ('two', rest))]
    return load_arms(paths)


def test_every_arm_gets_the_same_subsets(arms):
    jobs = few_shot_jobs(arms, shots=[1, 3], seeds=2, options=JobOptions())
    assert len(jobs) == 8
    for seed in (0, 1):
        for group in ('shots-1', 'shots-3'):
            one, two = (job for job in jobs if job.seed == seed and job.group == group)
            assert {one.arm, two.arm} == {'one', 'two'}
            assert (one.train, one.inner, one.test) == (two.train, two.inner, two.test)
            assert len(one.train) == int(group[-1])


def test_an_inner_split_comes_out_of_the_subset(arms):
    plain = few_shot_jobs(arms[:1], shots=[4], seeds=1, options=JobOptions())[0]
    inner = few_shot_jobs(arms[:1], shots=[4], seeds=1, options=JobOptions(select='inner'))[0]
    assert (*inner.train, *inner.inner) == plain.train
    assert inner.inner


def test_folds_train_on_all_others(arms):
    jobs = fold_jobs(arms[:1], count=3, seeds=1, options=JobOptions())
    assert [job.group for job in jobs] == ['fold-0', 'fold-1', 'fold-2']
    assert sorted(case for job in jobs for case in job.test) == ['image0', 'image1', 'image2', 'image3']
    for job in jobs:
        assert not set(job.test) & set(job.train)
        assert len(job.test) + len(job.train) == 4


def test_shots_are_sorted_and_all_is_the_whole_split():
    assert parse_shots(['all', '3', '1', '3'], 7) == [1, 3, 7]
    assert parse_shots(['7', 'all'], 7) == [7]


@pytest.mark.parametrize('wrong', ['0', '8', '-1', 'many', '2.5'])
def test_shots_that_cannot_be_had_are_refused_with_the_number_of_volumes(wrong):
    with pytest.raises(ValueError, match=f'from 1 to 7, the volumes of the training split.* got {wrong}'):
        parse_shots(['1', wrong], 7)


def test_no_seed_is_refused(arms):
    with pytest.raises(ValueError, match='--seeds must be at least 1, got 0'):
        few_shot_jobs(arms, shots=[1], seeds=0, options=JobOptions())
    with pytest.raises(ValueError, match='--seeds must be at least 1, got 0'):
        fold_jobs(arms, count=2, seeds=0, options=JobOptions())


def test_a_class_that_a_subset_does_not_show_is_named(arms):
    facts = arms[0].metainfo
    more = dict(facts, classes=('background', 'near', 'far', 'rare'))
    assert unseen_classes(arms[0].train, facts) == ()
    assert unseen_classes(arms[0].train, more) == ('rare',)
    assert unseen_classes(arms[0].train, dict(more, label_map={1: 3})) == ('near',)


def test_an_arm_that_takes_the_rest_unlabelled_needs_a_rest_without_held_out_cases(arms):
    with pytest.raises(ValueError, match='of which shots-4 leaves none'):
        few_shot_jobs(arms, shots=[4], seeds=1, options=JobOptions())
    with pytest.raises(ValueError, match=r'two trains on the rest .* held-out cases'):
        fold_jobs(arms, count=2, seeds=1, options=JobOptions())
    with pytest.raises(ValueError, match='cannot be cross-validated nor'):
        few_shot_jobs(arms, shots=[3], seeds=1, options=JobOptions(select='inner'))

"""Subsets by seed: nested, of whole people, the same everywhere."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medctx3d.studies.subsets import few_shot_subset, folds, inner_split, shuffled, subject_of


@st.composite
def lists(draw):
    """Records of 2 to 12 subjects with 1 to 3 volumes each, in any order."""
    counts = draw(st.lists(st.integers(1, 3), min_size=2, max_size=12))
    records = [
        dict(case=f'case{subject}_{volume}', image='i', label='l', subject=f'person{subject}')
        for subject, count in enumerate(counts)
        for volume in range(count)
    ]
    return draw(st.permutations(records))


seeds = st.integers(0, 2**31)


def ids(records):
    return [record['case'] for record in records]


@settings(max_examples=60, deadline=None)
@given(lists(), seeds, st.data())
def test_a_smaller_subset_lies_in_every_larger_one_of_its_seed(records, seed, data):
    small = data.draw(st.integers(1, len(records)))
    large = data.draw(st.integers(small, len(records)))
    subset = ids(few_shot_subset(records, small, seed))
    assert len(set(subset)) == small
    assert subset == ids(few_shot_subset(records, large, seed))[:small]


@settings(max_examples=60, deadline=None)
@given(lists(), seeds, st.data())
def test_at_most_one_person_of_a_subset_has_volumes_left_outside(records, seed, data):
    subset = few_shot_subset(records, data.draw(st.integers(1, len(records))), seed)
    inside, outside = set(map(subject_of, subset)), [r for r in records if r not in subset]
    assert len(inside & set(map(subject_of, outside))) <= 1


@settings(max_examples=30, deadline=None)
@given(lists(), seeds)
def test_the_order_of_the_list_changes_nothing(records, seed):
    assert shuffled(records, seed) == shuffled(records[::-1], seed)
    assert sorted(ids(shuffled(records, seed))) == sorted(ids(records))


def test_the_draw_of_a_seed_is_the_same_on_every_machine_and_in_every_release():
    records = [dict(case=name) for name in 'abcdefgh']
    assert ''.join(ids(shuffled(records, 0))) == 'bdahgfce'
    assert ''.join(ids(shuffled(records, 1))) == 'bcdgfahe'


@settings(max_examples=60, deadline=None)
@given(lists(), seeds, st.data())
def test_folds_hold_every_case_once_and_part_no_person(records, seed, data):
    people = {subject_of(record) for record in records}
    parts = folds(records, data.draw(st.integers(2, len(people))), seed)
    assert sorted(case for part in parts for case in ids(part)) == sorted(ids(records))
    owners = [set(map(subject_of, part)) for part in parts]
    assert sum(map(len, owners)) == len(people)
    assert max(map(len, owners)) - min(map(len, owners)) <= 1


@settings(max_examples=60, deadline=None)
@given(lists(), seeds)
def test_an_inner_split_divides_people_and_leaves_most_for_training(records, seed):
    order = shuffled(records, seed)
    trained, held = inner_split(order)
    people = [set(map(subject_of, part)) for part in (trained, held)]
    assert people[0] & people[1] == set()
    assert trained + held == order
    assert len(people[1]) == -(-len(people[0] | people[1]) // 5)


def test_a_case_without_subject_is_a_person_of_its_own():
    assert len(folds([dict(case='a'), dict(case='b')], 2, 0)) == 2


@pytest.mark.parametrize('shots', [0, 4, -1])
def test_more_shots_than_volumes_are_refused_with_their_number(shots):
    with pytest.raises(ValueError, match=f'the 3 volumes of the training split, got {shots}'):
        few_shot_subset([dict(case=name) for name in 'abc'], shots, 0)


def test_folds_need_a_person_each():
    pair = [dict(case='a', subject='x'), dict(case='b', subject='x'), dict(case='c', subject='y')]
    with pytest.raises(ValueError, match='between 2 and the 2 subjects'):
        folds(pair, 3, 0)


def test_an_inner_split_of_one_person_is_refused():
    with pytest.raises(ValueError, match=r'the subset of 2 volume.* has 1'):
        inner_split([dict(case='a', subject='x'), dict(case='b', subject='x')])

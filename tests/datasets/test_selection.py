"""Some of the cases of a split."""

from __future__ import annotations

import pytest
from tiny_volumes import LOAD, METAINFO, write_case, write_list

from medctx3d.datasets import HippocampusDataset, VolumeDataset
from medctx3d.datasets.layouts import paired_subject
from medctx3d.datasets.selection import select_cases, select_part

RECORDS = [dict(case=name, image=f'{name}.nii.gz') for name in 'abcdefg']


def test_cases_come_in_the_order_asked_for():
    assert [record['case'] for record in select_cases(RECORDS, ('c', 'a'), 'list')] == ['c', 'a']


def test_a_case_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(ValueError, match=r'list: cases= .* 1 of 2 are not in it: z. It has 7, such as a, b, c, d, e'):
        select_cases(RECORDS, ('a', 'z'), 'list')


def test_a_case_asked_for_twice_is_refused():
    with pytest.raises(ValueError, match='named more often: b'):
        select_cases(RECORDS, ('a', 'b', 'b'), 'list')


def test_parts_divide_the_subjects_whatever_else_is_listed():
    records = [dict(case=f'c{i}', image=f'c{i}.nii.gz', subject=f'p{i // 2}') for i in range(60)]
    kept, held_out = (select_part(records, part, 'list') for part in ((0.0, 0.7), (0.7, 1.0)))
    assert sorted(map(str, kept + held_out)) == sorted(map(str, records))
    assert not {record['subject'] for record in kept} & {record['subject'] for record in held_out}
    assert 5 < len(held_out) < 35
    assert [r for r in select_part(records[::-1], (0.7, 1.0), 'list')][::-1] == held_out
    assert select_part(records[:20], (0.7, 1.0), 'list') == [record for record in held_out if record in records[:20]]


def test_a_part_without_a_case_is_refused():
    with pytest.raises(ValueError, match=r'list: part=\(0\.0, 1e-09\) holds none of its 7 cases'):
        select_part(RECORDS, (0.0, 1e-9), 'list')


def test_a_data_set_of_some_cases_uses_the_store_of_all(tmp_path):
    listed = write_list(tmp_path, [write_case(tmp_path, f'case{number}', seed=number) for number in range(3)])
    store = dict(type='PreparedStore', root=str(tmp_path / 'store'), num_workers=0)
    settings = dict(load_pipeline=LOAD, pipeline=[dict(type='PackVolume')], metainfo=METAINFO, store=store)
    VolumeDataset(listed, **settings)
    prepared = sorted((tmp_path / 'store').rglob('*'))
    some = VolumeDataset(listed, cases=('case2', 'case0'), **settings)
    assert [sample['data_samples'].case for sample in some] == ['case2', 'case0']
    assert sorted((tmp_path / 'store').rglob('*')) == prepared


@pytest.mark.parametrize(
    ('case', 'subject'),
    [('hippocampus_001', 'pair_001'), ('hippocampus_002', 'pair_001'), ('hippocampus_003', 'pair_002'), ('x', None)],
)
def test_two_ids_in_a_row_are_one_person(case, subject):
    assert paired_subject(case) == subject


def test_hippocampi_know_their_person_though_the_list_does_not(tmp_path):
    names = ('hippocampus_003', 'hippocampus_004', 'hippocampus_006')
    listed = write_list(tmp_path, [dict(write_case(tmp_path, name, seed=0)) for name in names])
    dataset = HippocampusDataset(listed, lazy_init=True)
    assert [record['subject'] for record in dataset.load_data_list()] == ['pair_002', 'pair_002', 'pair_003']


def test_a_subject_that_the_list_names_is_kept(tmp_path):
    listed = write_list(tmp_path, [dict(write_case(tmp_path, 'hippocampus_003', seed=0), subject='me')])
    assert HippocampusDataset(listed, lazy_init=True).load_data_list()[0]['subject'] == 'me'

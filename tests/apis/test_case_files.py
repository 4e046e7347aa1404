from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_series

from medctx3d.apis import find_cases
from medctx3d.apis.case_files import check_out_dir


def test_folders_files_and_channel_groups_become_cases(tmp_path):
    names = ('b.nii.gz', 'a.nii', '.tmp-1-b.nii.gz', 'notes.txt', 'p_0000.nii.gz', 'p_0001.nii.gz')
    for name in names:
        (tmp_path / name).write_bytes(b'')
    single = find_cases([tmp_path, tmp_path / 'b.nii.gz'])
    assert [case.name for case in single] == ['a', 'b', 'p_0000', 'p_0001']
    double = find_cases([tmp_path], channels=2)
    assert [case.name for case in double] == ['a', 'b', 'p']
    assert double[2].image == [str(tmp_path / 'p_0000.nii.gz'), str(tmp_path / 'p_0001.nii.gz')]


def test_bad_inputs_are_named(tmp_path):
    (tmp_path / 'empty').mkdir()
    for folder in ('x', 'y'):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / 'a_0001.nii.gz').write_bytes(b'')
    with pytest.raises(FileNotFoundError, match=r'nowhere\.nii does not exist'):
        find_cases([tmp_path / 'nowhere.nii'])
    with pytest.raises(FileNotFoundError, match='holds no volume'):
        find_cases([tmp_path / 'empty'])
    with pytest.raises(ValueError, match=r'_0000 to _0001 are needed, got _0001'):
        find_cases([tmp_path / 'x'], channels=2)
    with pytest.raises(ValueError, match=r'two cases would both be written as a_0001: '):
        find_cases([tmp_path / 'x', tmp_path / 'y'])


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b'x')
    return folder


def named(inputs: list, **settings) -> list[str]:
    return [case.name for case in find_cases(inputs, **settings)]


def test_every_format_is_found_and_pairs_count_once(tmp_path):
    touch(tmp_path, 'a.nii', 'b.hdr', 'b.img', 'c.nrrd', 'd.mha', 'e.mhd', 'e.raw', 'f.nhdr', 'g.txt', 'sub/h.nii')
    assert named([tmp_path]) == ['a', 'b', 'c', 'd', 'e', 'f']
    results = [case.result_name() for case in find_cases([tmp_path])]
    assert results == ['a.nii.gz', 'b.nii.gz', 'c.nrrd', 'd.mha', 'e.mha', 'f.nrrd']
    assert find_cases([tmp_path / 'c.nrrd'])[0].result_name('.nii') == 'c.nii'


def test_a_dicom_folder_is_a_case_and_a_folder_of_them_is_many(tmp_path):
    for name in ('patient.1', 'patient.2'):
        write_series(tmp_path / name, np.zeros((4, 4, 2), int))
    touch(tmp_path, 'readme.txt', 'empty_folder_of/notes.txt', 'scan.nii')
    assert named([tmp_path / 'patient.1']) == ['patient.1']
    assert named([tmp_path]) == ['patient.1', 'patient.2', 'scan']
    assert find_cases([tmp_path / 'patient.1'])[0].result_name() == 'patient.1.nii.gz'


def test_patterns_reach_any_depth_and_must_match(tmp_path, monkeypatch):
    touch(tmp_path, 'x/a_ct.nii.gz', 'x/a_pet.nii.gz', 'y/deep/b_ct.nii.gz')
    assert named([tmp_path / '**' / '*_ct.nii.gz']) == ['a_ct', 'b_ct']
    assert named([tmp_path / 'x' / 'a_?et.nii.gz']) == ['a_pet']
    touch(tmp_path, 'odd[1].nii')
    assert named([tmp_path / 'odd[1].nii']) == ['odd[1]']  # a file of that name goes before the pattern
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r'the pattern z/\*\.nii matches no file'):
        find_cases(['z/*.nii'])


def test_lists_are_relative_to_their_folder(tmp_path):
    touch(tmp_path, 'scans/a.nii', 'scans/b.nrrd', 'more/c.mha')
    (tmp_path / 'list.txt').write_text('# of today\nscans/a.nii\n\nmore\n')
    assert named([tmp_path / 'list.txt']) == ['a', 'c']
    (tmp_path / 'list.json').write_text(
        json.dumps(['scans/a.nii', ['scans/b.nrrd', 'more/c.mha'], {'image': 'more/c.mha', 'case': 'patient 3'}])
    )
    cases = {case.name: case.files for case in find_cases([tmp_path / 'list.json'], channels=2)}
    assert cases == {
        'a': [str(tmp_path / 'scans/a.nii')],
        'b': [str(tmp_path / 'scans/b.nrrd'), str(tmp_path / 'more/c.mha')],
        'patient 3': [str(tmp_path / 'more/c.mha')],
    }


def test_a_data_list_gives_the_split_that_is_asked_for(tmp_path):
    touch(tmp_path, 'a.nii', 'b.nii')
    content = {'labels': {'0': 'x'}, 'training': [{'image': 'a.nii', 'label': 'gone.nii'}], 'test': ['b.nii']}
    (tmp_path / 'dataset.json').write_text(json.dumps(content))
    assert named([tmp_path / 'dataset.json']) == ['b']
    assert named([tmp_path / 'dataset.json'], split='training') == ['a']
    with pytest.raises(ValueError, match=r"no split 'val', it has training \(1\), test \(1\)"):
        find_cases([tmp_path / 'dataset.json'], split='val')


@pytest.mark.parametrize(
    ('name', 'content', 'words'),
    [
        ('l.json', '[1]', 'entry 0 must be a path'),
        ('l.json', '["gone.nii"]', r'entry 0 names .*gone\.nii, which does not exist'),
        ('l.json', '{"a"', 'must be valid JSON'),
        ('l.json', '3', 'must be a list of images'),
        ('l.json', '[{"image": "l.json", "case": "../up"}]', "'../up' must be a file name"),
        ('l.txt', '# nothing\n', 'it names none'),
        ('l.txt', 'gone.nii', r'gone\.nii does not exist'),
    ],
)
def test_damaged_lists_are_named(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises((ValueError, OSError), match=words):
        find_cases([tmp_path / name])


def test_results_never_land_in_the_folder_of_a_series(tmp_path):
    write_series(tmp_path / 's', np.zeros((4, 4, 2), int))
    cases = find_cases([tmp_path / 's'])
    with pytest.raises(ValueError, match='choose another folder'):
        check_out_dir(tmp_path / 's', cases)

"""A data list leads below its data root, unless the user's own hand opened another folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from medctx3d.apis.case_files import find_cases
from medctx3d.datasets.datalist import decathlon_records
from medctx3d.utils.data_folders import VARIABLE, folder_outside, require_inside


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """``tmp_path/root`` with a volume, and ``tmp_path/elsewhere`` with another."""
    for folder in ('root', 'elsewhere'):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / 'a.nii.gz').touch()
    return tmp_path / 'root'


def listed(root: Path, **entry: Any) -> list[dict]:
    (root / 'dataset.json').write_text(json.dumps({'test': [entry]}), encoding='utf-8')
    return decathlon_records('dataset.json', root, 'test')


@pytest.mark.parametrize('key', ['image', 'label'])
@pytest.mark.parametrize('way', ['climb', 'absolute', 'link to a file', 'link to a folder', 'climb through a link'])
def test_escape_is_refused_with_entry_key_value_and_fix(root: Path, key: str, way: str) -> None:
    outside = root.parent / 'elsewhere' / 'a.nii.gz'
    (root / 'file.nii.gz').symlink_to(outside)
    (root / 'folder').symlink_to(outside.parent)
    path = {
        'climb': '../elsewhere/a.nii.gz',
        'absolute': str(outside),
        'link to a file': 'file.nii.gz',
        'link to a folder': 'folder/a.nii.gz',
        'climb through a link': 'x/../folder/a.nii.gz',
    }[way]
    with pytest.raises(ValueError, match=r'below') as caught:
        listed(root, **{'image': 'a.nii.gz', key: path})
    words = str(caught.value)
    assert f'dataset.json: test[0]["{key}"]' in words
    assert os.path.normpath(root / path) in words
    assert f'export {VARIABLE}={outside.parent}' in words


def test_one_escaping_channel_of_several_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match=r'test\[0\]\["image"\]'):
        listed(root, image=['a.nii.gz', '../elsewhere/a.nii.gz'], case='x')


def test_paths_below_the_root_are_taken_however_written(root: Path) -> None:
    (root / 'link.nii.gz').symlink_to(root / 'a.nii.gz')
    for path in ('a.nii.gz', './a.nii.gz', 'x/../a.nii.gz', str(root / 'a.nii.gz'), 'link.nii.gz'):
        assert listed(root, image=path)[0]['image'].endswith('.nii.gz')


def test_the_root_itself_may_be_a_link(root: Path) -> None:
    (root.parent / 'data').symlink_to(root)
    assert listed(root.parent / 'data', image='a.nii.gz')[0]['image'] == str(root.parent / 'data' / 'a.nii.gz')


def test_a_neighbour_with_the_same_beginning_is_outside(root: Path) -> None:
    (root.parent / 'root2').mkdir()
    with pytest.raises(ValueError, match='below'):
        require_inside(str(root.parent / 'root2' / 'a.nii.gz'), root, 'list')


def test_a_folder_that_the_user_opened_is_taken_and_no_other(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, os.pathsep.join([str(root.parent / 'none'), str(root.parent / 'elsewhere')]))
    assert listed(root, image='../elsewhere/a.nii.gz')
    with pytest.raises(ValueError, match='below'):
        listed(root, image='../a.nii.gz')


@pytest.mark.parametrize('case', ['../x', 'a/b', 'a\\b', '..', '/x', 'C:x'])
def test_a_case_is_a_name_because_results_are_called_so(root: Path, case: str) -> None:
    with pytest.raises(ValueError, match=r'test\[0\]\["case"\]: must be a name without folders'):
        listed(root, image='a.nii.gz', case=case)


def test_an_entry_that_is_no_path_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match=r'\["label"\]: must be a path, it is 3'):
        listed(root, image='a.nii.gz', label=3)


def test_a_list_on_the_command_line_of_inference_leads_no_further(root: Path) -> None:
    path = root / 'list.json'
    path.write_text(json.dumps(['../elsewhere/a.nii.gz']), encoding='utf-8')
    with pytest.raises(ValueError, match=r'list\.json: entry 0: must name a file below'):
        find_cases([path])
    assert find_cases([root.parent / 'elsewhere' / 'a.nii.gz'])  # the user's own hand


def test_the_folder_to_open_holds_all_that_lies_outside(root: Path) -> None:
    files = [str(root / 'a.nii.gz'), str(root.parent / 'elsewhere' / 'a.nii.gz'), str(root.parent / 'b' / 'c.nii.gz')]
    assert folder_outside(files[:1], root) == ''
    assert folder_outside(files[:2], root) == str(root.parent / 'elsewhere')
    assert folder_outside(files, root) == str(root.parent)

"""Every kind of corruption is found, with its file and reason; clean data are said to be clean."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from corruptions_of_files import HEADERS, LISTS
from corruptions_of_voxels import LABELS, VOXELS
from tiny_set import Spoiler, build, diagnose

from medctx3d.diagnosis import CHECKS


class Corruption(NamedTuple):
    """What is done, which check finds it, in which file, with which words, with which changes of the config."""

    spoil: Callable[[Spoiler], object]
    check: str
    file: str
    words: str
    changes: dict[str, Any] = {}


CORRUPTIONS = {name: Corruption(*what) for part in (LISTS, HEADERS, VOXELS, LABELS) for name, what in part.items()}


@pytest.fixture(scope='module')
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp('clean'))


def test_clean_data_give_no_finding(clean: Path) -> None:
    assert diagnose(clean) == []


@pytest.mark.parametrize('name', CORRUPTIONS)
def test_corruption_is_found_in_its_file_with_its_reason(name: str, clean: Path, tmp_path: Path) -> None:
    corruption = CORRUPTIONS[name]
    folder = tmp_path / 'set'
    shutil.copytree(clean, folder)
    corruption.spoil(Spoiler(folder))
    found = diagnose(folder, **corruption.changes)
    mine = [finding for finding in found if finding.check == corruption.check and corruption.file in finding.where]
    assert mine, found
    assert any(corruption.words in finding.reason for finding in mine), mine
    assert all(finding.fix for finding in mine)


def test_every_check_of_data_is_tried() -> None:
    tried = {corruption.check for corruption in CORRUPTIONS.values()}
    assert {check.name for check in CHECKS if check.part != 'machine'} - tried == {'class_not_in_fold'}  # own test
    assert len(CORRUPTIONS) >= 40

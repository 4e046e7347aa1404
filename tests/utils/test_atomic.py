from __future__ import annotations

import os
import stat
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medctx3d.utils.atomic import atomic_path


def test_the_file_appears_when_the_block_ends_and_nothing_else_stays(tmp_path):
    target = tmp_path / 'new' / 'results.json'
    with atomic_path(target) as temporary:
        temporary.write_text('{}')
        assert not target.exists()
        assert temporary.parent == target.parent
    assert target.read_text() == '{}'
    assert os.listdir(target.parent) == ['results.json']


def write_half(target, error):
    with atomic_path(target) as temporary:
        temporary.write_text('half')
        raise error


@pytest.mark.parametrize('error', [OSError(28, 'No space left on device'), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_previous_file_whole(tmp_path, error):
    target = tmp_path / 'a.txt'
    target.write_text('old')
    with pytest.raises(type(error)):
        write_half(target, error)
    assert target.read_text() == 'old'
    assert os.listdir(tmp_path) == ['a.txt']


def test_a_real_full_disk_leaves_the_previous_file_whole(tmp_path, monkeypatch):
    target = tmp_path / 'a.bin'
    target.write_bytes(b'old')

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space'), atomic_path(target) as temporary:
        temporary.write_bytes(b'new')
    assert target.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['a.bin']


def test_a_writer_that_wrote_elsewhere_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'a\.txt: nothing was written'), atomic_path(tmp_path / 'a.txt'):
        pass


def test_the_suffix_survives_for_writers_that_choose_a_format_by_it(tmp_path):
    target = tmp_path / 'case.nii.gz'
    with atomic_path(target) as temporary:
        nib.save(nib.Nifti1Image(np.zeros((2, 3, 4), np.uint8), np.eye(4)), temporary)
    assert target.read_bytes()[:2] == b'\x1f\x8b'
    assert nib.load(target).shape == (2, 3, 4)


@pytest.mark.skipif(os.name != 'posix', reason='permission bits of POSIX')
def test_the_file_gets_the_permissions_that_open_would_give(tmp_path):
    with atomic_path(tmp_path / 'a') as temporary:
        temporary.write_text('')
    Path(tmp_path / 'b').write_text('')
    assert stat.S_IMODE((tmp_path / 'a').stat().st_mode) == stat.S_IMODE((tmp_path / 'b').stat().st_mode)

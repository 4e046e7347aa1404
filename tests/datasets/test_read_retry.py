"""A network file system that is away for a moment costs a moment, not the run."""

from __future__ import annotations

import errno

import numpy as np
import pytest
from tiny_volumes import LOAD, METAINFO, write_case, write_list

from medctx3d.datasets import VolumeDataset, read_retry
from medctx3d.datasets.read_retry import ReadRetry
from medctx3d.datasets.transforms import load_volume


@pytest.fixture
def make(tmp_path):
    ann_file = write_list(tmp_path, [write_case(tmp_path, 'case0', seed=0)])
    pipeline = [dict(type='ForegroundCrop', size=(8, 8, 8)), dict(type='PackVolume')]
    store = dict(type='PreparedStore', root=str(tmp_path / 'store'), num_workers=0)

    def build(**options):
        common = dict(load_pipeline=LOAD, pipeline=pipeline, metainfo=METAINFO, store=store)
        return VolumeDataset(ann_file, **{**common, **options})

    return build


@pytest.fixture
def away(monkeypatch):
    """Let the next ``times`` openings of an array fail; gives the list of all attempts."""
    attempts, load = [], np.load

    def fail(error, times):
        def loading(path, **options):
            attempts.append(path)
            if len(attempts) <= times:
                raise error
            return load(path, **options)

        monkeypatch.setattr(np, 'load', loading)
        return attempts

    return fail


STALE = OSError(errno.ESTALE, 'Stale file handle')


@pytest.mark.parametrize('store', [True, False])
def test_a_draw_that_succeeds_at_last_is_the_draw(make, away, monkeypatch, store):
    options = {} if store else dict(store=None)
    expected = make(**options)[3]['inputs']
    dataset = make(retry=dict(type='ReadRetry', attempts=3, wait=0.0), **options)
    if store:
        dataset.store._open.clear()
        away(STALE, 2)
    else:
        original, attempts = load_volume.read_volume, []

        def reading(path):
            attempts.append(path)
            if len(attempts) < 3:
                raise OSError(errno.EIO, 'Input/output error', str(path))
            return original(path)

        monkeypatch.setattr(load_volume, 'read_volume', reading)
    logged = []
    monkeypatch.setattr(read_retry, 'print_log', lambda words, **_: logged.append(words))
    assert (dataset[3]['inputs'] == expected).all()
    assert [f"case 'case0': attempt {number} of 3" in words for number, words in enumerate(logged, 1)] == [True, True]


def test_without_the_setting_a_failed_read_is_final(make, away):
    dataset = make()
    dataset.store._open.clear()
    attempts = away(STALE, 9)
    with pytest.raises(OSError, match='Stale file handle'):
        dataset[0]
    assert len(attempts) == 1


@pytest.mark.parametrize(
    ('error', 'also', 'expected'),
    [
        (STALE, (), 4),
        (PermissionError(errno.EACCES, 'Permission denied'), (), 1),
        (FileNotFoundError('gone'), (), 1),
        (FileNotFoundError('gone'), ('ENOENT',), 4),
    ],
)
def test_only_errors_that_pass_are_tried_again_and_only_so_often(error, also, expected):
    attempts = []

    def read():
        attempts.append(1)
        raise error

    with pytest.raises(type(error)):
        ReadRetry(attempts=4, wait=0.0, also=also)(read, 'case0')
    assert len(attempts) == expected


def test_waits_double(monkeypatch):
    waits = []
    monkeypatch.setattr('time.sleep', waits.append)
    with pytest.raises(OSError, match='Stale'):
        ReadRetry(attempts=4, wait=0.5)(lambda: (_ for _ in ()).throw(STALE), 'case0')
    assert waits == [0.5, 1.0, 2.0]


@pytest.mark.parametrize('options', [dict(attempts=1), dict(wait=-1.0), dict(also=('ENOSUCH',))])
def test_impossible_settings_are_refused(options):
    with pytest.raises(ValueError, match=r'ReadRetry: (attempts|wait|also)'):
        ReadRetry(**options)

"""A checkpoint is whole or not there, and saving never leaves fewer readable ones than before."""

import errno
import itertools
import math
import re
import shutil
import tracemalloc

import pytest
import torch
from helpers_engine import run_config, train
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from medctx3d.apis.start_checkpoint import newest_whole
from medctx3d.engine import checkpoint_store
from medctx3d.engine.checkpoint import CheckpointError, load_checkpoint_file
from medctx3d.engine.checkpoint_store import CheckpointStore, file_digest, write_checkpoint
from medctx3d.engine.hooks import SafeCheckpointHook
from medctx3d.evaluation import VolumeMetric

CONTENT = dict(state_dict=dict(weight=torch.arange(3000.0)), meta=dict(iter=3))


def readable(folder):
    return sorted(path.name for path in folder.glob('*.pth') if load_checkpoint_file(path))


class NearlyFull:
    """A file on a disk with room for so many bytes."""

    def __init__(self, stream, room):
        self.stream = stream
        self.room = room

    def write(self, data):
        if len(data) > self.room:
            raise OSError(errno.ENOSPC, 'No space left on device')
        self.room -= len(data)
        return self.stream.write(data)

    def flush(self):
        self.stream.flush()


def fill_disk(monkeypatch, *, after):
    """Let the disk fill up in the middle of the file that follows the first ``after``."""
    original, files = checkpoint_store._DigestingWriter.__init__, itertools.count()

    def init(self, stream):
        original(self, NearlyFull(stream, 20_000 if next(files) >= after else math.inf))

    monkeypatch.setattr(checkpoint_store._DigestingWriter, '__init__', init)


def test_full_disk_leaves_the_previous_checkpoint_whole(nifti_dataset, tmp_path, monkeypatch):
    fill_disk(monkeypatch, after=1)
    with pytest.raises(OSError, match=re.escape('checkpoint of step 6 could not be written')) as failure:
        train(run_config(nifti_dataset, tmp_path))
    assert failure.value.errno == errno.ENOSPC
    assert readable(tmp_path) == ['iter_3.pth']
    assert load_checkpoint_file((tmp_path / 'last_checkpoint').read_text())['meta']['iter'] == 3
    assert not list(tmp_path.glob('.tmp-*'))


def test_mmengines_own_hook_would_have_left_none(nifti_dataset, tmp_path, monkeypatch):
    """The reason for a hook of our own; when this fails, mmengine has changed and the reason should be looked at."""
    saves = []

    def disk_that_fills(self, obj, filepath):
        saves.append(filepath)
        data = bytes(obj)
        with open(filepath, 'wb') as stream:
            stream.write(data if len(saves) == 1 else data[: len(data) // 2])
        if len(saves) > 1:
            raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(LocalBackend, 'put', disk_that_fills)
    config = run_config(nifti_dataset, tmp_path)
    config.default_hooks.checkpoint = dict(type=CheckpointHook, by_epoch=False, interval=3, max_keep_ckpts=1)
    with pytest.raises(OSError, match='No space left'):
        train(config)
    with pytest.raises(CheckpointError, match='cannot be read'):
        readable(tmp_path)


def test_only_the_newest_checkpoints_are_kept_and_listed(nifti_dataset, tmp_path):
    config = run_config(nifti_dataset, tmp_path)
    config.default_hooks.checkpoint.update(interval=2, max_keep_ckpts=2)
    train(config)
    assert readable(tmp_path) == ['iter_4.pth', 'iter_6.pth']
    entries = CheckpointStore(tmp_path).entries()
    assert [(entry.file, entry.step) for entry in entries] == [('iter_4.pth', 4), ('iter_6.pth', 6)]
    assert all(entry.sha256 == file_digest(tmp_path / entry.file) for entry in entries)


def test_weights_survive_a_save_bit_for_bit(nifti_dataset, tmp_path):
    runner = train(run_config(nifti_dataset, tmp_path, iterations=3))
    saved = load_checkpoint_file(tmp_path / 'iter_3.pth')['state_dict']
    assert all(torch.equal(value, saved[key]) for key, value in runner.model.state_dict().items())


def test_previous_best_stays_until_the_new_one_is_whole(nifti_dataset, tmp_path, monkeypatch):
    config = run_config(nifti_dataset, tmp_path)
    config.train_cfg.val_interval = 2
    config.default_hooks.checkpoint.update(interval=-1, save_last=False, save_best='dice', rule='less')
    scores = iter([3.0, math.nan, 1.0])
    monkeypatch.setattr(VolumeMetric, 'compute_metrics', lambda self, results: {'dice': next(scores)})
    fill_disk(monkeypatch, after=1)
    with pytest.raises(OSError, match='step 6'):
        train(config)
    assert readable(tmp_path) == ['best_dice_iter_2.pth']  # not that of iteration 4, where nothing was scored


def test_the_best_checkpoint_replaces_the_one_before(nifti_dataset, tmp_path, monkeypatch):
    config = run_config(nifti_dataset, tmp_path)
    config.train_cfg.val_interval = 2
    config.default_hooks.checkpoint.update(interval=-1, save_last=False, save_best='dice', rule='greater')
    scores = iter([0.3, 0.5, 0.4])
    monkeypatch.setattr(VolumeMetric, 'compute_metrics', lambda self, results: {'dice': next(scores)})
    train(config)
    assert readable(tmp_path) == ['best_dice_iter_4.pth']


def test_an_unknown_metric_for_the_best_is_named(nifti_dataset, tmp_path):
    config = run_config(nifti_dataset, tmp_path, iterations=2)
    config.train_cfg.val_interval = 2
    config.default_hooks.checkpoint.update(save_best='Dice')
    with pytest.raises(ValueError, match=r"save_best='Dice' is no metric of the validation, which gave \['dice"):
        train(config)


def test_a_disk_that_changes_what_it_is_given_is_noticed(tmp_path, monkeypatch):
    store = CheckpointStore(tmp_path)
    store.add(CONTENT, 'iter_3.pth', 3)
    monkeypatch.setattr(checkpoint_store, 'file_digest', lambda path: '0' * 64)
    with pytest.raises(OSError, match='reads back otherwise than it was written') as failure:
        store.add(CONTENT, 'iter_6.pth', 6)
    assert failure.value.errno == errno.EIO
    assert readable(tmp_path) == ['iter_3.pth']
    assert (tmp_path / 'last_checkpoint').read_text().endswith('iter_3.pth')


def test_a_checkpoint_is_not_built_in_memory(tmp_path):
    content = dict(state_dict={f'layer{index}': torch.zeros(250_000) for index in range(40)})  # 40 MB
    tracemalloc.start()
    write_checkpoint(content, tmp_path / 'iter_1.pth')
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / 'iter_1.pth').stat().st_size > 40e6
    assert peak < 10e6  # mmengine's BytesIO and its copy would be 80 MB


@pytest.mark.parametrize('damage', ['flipped bit', 'cut short', 'emptied', 'deleted'])
def test_a_damaged_newest_checkpoint_is_passed_over(tmp_path, damage):
    store = CheckpointStore(tmp_path)
    store.add(CONTENT, 'iter_3.pth', 3)
    newest = store.add(CONTENT, 'iter_6.pth', 6)
    whole = newest.read_bytes()
    middle = len(whole) // 2
    if damage == 'deleted':
        newest.unlink()
    else:
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        newest.write_bytes({'flipped bit': flipped, 'cut short': whole[:middle], 'emptied': b''}[damage])
    path, told = newest_whole(store)
    assert path == tmp_path / 'iter_3.pth'
    assert told == ('' if damage == 'deleted' else f'{newest} is damaged and passed over. ')


def test_checkpoints_that_are_all_damaged_are_no_fresh_start(tmp_path):
    CheckpointStore(tmp_path).add(CONTENT, 'iter_3.pth', 3).write_bytes(b'')
    with pytest.raises(CheckpointError, match=r'none of the checkpoints in .* can be read \(iter_3\.pth\)'):
        newest_whole(CheckpointStore(tmp_path))


def test_a_copied_work_dir_never_leads_back_to_the_original(tmp_path):
    original = CheckpointStore(tmp_path / 'original')
    original.folder.mkdir()
    for step in (3, 6):
        original.add(CONTENT, f'iter_{step}.pth', step)
    copy = CheckpointStore(shutil.copytree(original.folder, tmp_path / 'copy'))
    assert newest_whole(copy) == (copy.folder / 'iter_6.pth', '')
    (copy.folder / 'iter_6.pth').write_bytes(b'')
    path, told = newest_whole(copy)
    assert path == copy.folder / 'iter_3.pth'
    assert 'copy/iter_6.pth is damaged' in told
    (copy.folder / 'iter_6.pth').unlink()
    path, told = newest_whole(copy)
    assert path == copy.folder / 'iter_3.pth'
    assert f'last_checkpoint names {original.folder / "iter_6.pth"}, in another folder, and is ignored' in told
    assert {file.parent for file in copy.candidates()} == {copy.folder}


@pytest.mark.parametrize('lost', ['last_checkpoint', 'checkpoints.json', 'both'])
def test_the_newest_is_found_without_pointer_or_manifest(tmp_path, lost):
    store = CheckpointStore(tmp_path)
    for step in (3, 12):
        store.add(CONTENT, f'iter_{step}.pth', step)
    for name in ('last_checkpoint', 'checkpoints.json') if lost == 'both' else (lost,):
        (tmp_path / name).unlink()
    write_checkpoint(CONTENT, tmp_path / 'best_dice_iter_15.pth')  # holds no optimiser
    assert newest_whole(store) == (tmp_path / 'iter_12.pth', '')


def test_what_a_killed_process_left_half_written_is_removed(nifti_dataset, tmp_path):
    (tmp_path / '.tmp-0123abcd-iter_3.pth').write_bytes(b'half')
    train(run_config(nifti_dataset, tmp_path, iterations=1))
    assert not list(tmp_path.glob('.tmp-*'))


@pytest.mark.parametrize('options', [dict(rule='best'), dict(stop_signals=('TERM',))])
def test_impossible_arguments_are_refused(options):
    with pytest.raises(ValueError, match=r"'greater' or 'less'|names of signals"):
        SafeCheckpointHook(**options)


def test_mmengine_resumes_from_it(nifti_dataset, tmp_path):
    train(run_config(nifti_dataset, tmp_path, iterations=3))
    config = run_config(nifti_dataset, tmp_path, experiment_name='again', iterations=5)
    runner = Runner.from_cfg(config)
    runner.call_hook('before_run')
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
    runner.resume(str(tmp_path / 'iter_3.pth'))
    assert runner.iter == 3
    assert runner.optim_wrapper.optimizer.state_dict()['state'][0]['step'] == 3

"""Whatever ends the machine or fills the disk, at whichever operation: a whole checkpoint is left, and it is found."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest
import torch
from recorded_disk import Operation, RecordedDisk, after_power_loss

from medctx3d.apis.start_checkpoint import newest_whole
from medctx3d.engine.checkpoint import load_checkpoint_file
from medctx3d.engine.checkpoint_store import CheckpointStore, write_checkpoint

pytestmark = pytest.mark.skipif(not Path('/proc/self/fd').is_dir(), reason='names of open files come from /proc')
# (step, seed of the weights): steps that rise, and one saved twice, as by a run that was resumed from it and stopped
SAVES = ((1, 0), (2, 1), (3, 2), (3, 3), (4, 4))
SAFE = [(before, *after) for before, after in zip([None, *SAVES], [[save] for save in SAVES] + [[]], strict=True)]


def content(step: int, seed: int) -> dict:
    return dict(state_dict=dict(weight=torch.full((50,), float(seed))), meta=dict(iter=step))


def save_all(disk: RecordedDisk, store: CheckpointStore, keep: int) -> None:
    for step, seed in SAVES:
        store.add(content(step, seed), f'iter_{step}.pth', step)
        disk.note(Operation('done', detail=(step, seed)))
        store.prune(keep)


def found_in(folder: Path) -> tuple[int, int] | None:
    """Step and seed of the checkpoint that a training would resume from, None where it would begin anew."""
    path, _ = newest_whole(CheckpointStore(folder))
    if path is None:
        return None
    read = load_checkpoint_file(path)
    seeds = read['state_dict']['weight'].unique()
    assert len(seeds) == 1
    return read['meta']['iter'], int(seeds)


@pytest.mark.parametrize('keep', [1, 2])
def test_power_loss_after_any_operation_costs_at_most_the_checkpoint_being_written(tmp_path, monkeypatch, keep):
    folder = tmp_path / 'run'
    folder.mkdir()
    with monkeypatch.context() as patch:
        disk = RecordedDisk(folder, patch)
        save_all(disk, CheckpointStore(folder), keep)
    shutil.rmtree(folder)  # the pointer names it in full
    seen, done = set(), []
    for end, operation in enumerate(disk.operations, start=1):
        done += [operation.detail] if operation.kind == 'done' else []
        for state in after_power_loss(disk.operations[:end]):
            key = (len(done), frozenset(state.items()))
            if key in seen:
                continue
            seen.add(key)
            folder.mkdir()
            for name, written in state.items():
                (folder / name).write_bytes(written)
            assert found_in(folder) in SAFE[len(done)], (end, operation, sorted(state))
            shutil.rmtree(folder)
    assert done == list(SAVES)
    assert len(seen) > 200


def test_a_disk_that_is_full_at_any_operation_costs_at_most_the_checkpoint_being_written(tmp_path, monkeypatch):
    full_at, filled = 0, True
    while filled:
        folder = tmp_path / f'run_{full_at}'
        folder.mkdir()
        with monkeypatch.context() as patch:
            disk = RecordedDisk(folder, patch, full_at)
            try:
                save_all(disk, CheckpointStore(folder), 1)
                filled = False
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        done = [operation.detail for operation in disk.operations if operation.kind == 'done']
        assert found_in(folder) in SAFE[len(done)]
        assert not list(folder.glob('.tmp-*'))
        CheckpointStore(folder).add(content(9, 9), 'iter_9.pth', 9)  # once there is room again
        assert found_in(folder) == (9, 9)
        full_at += 1
    assert full_at > 100


def test_without_syncs_a_power_loss_would_cost_all(tmp_path, monkeypatch):
    """The layer can show a loss: the same saves through a disk that forgets to sync."""
    with monkeypatch.context() as patch:
        disk = RecordedDisk(tmp_path, patch)
        write_checkpoint(content(1, 0), tmp_path / 'iter_1.pth')
    careless = [operation for operation in disk.operations if not operation.kind.startswith('sync')]
    states = list(after_power_loss(careless))
    assert {} in states
    assert {'iter_1.pth': b''} in states
    assert all(len(state['iter_1.pth']) > 100 for state in after_power_loss(disk.operations))

"""Limits of a machine that a training would run into are found, each with its figures; enough room is no finding."""

from __future__ import annotations

from typing import Any

import pytest

from medctx3d.diagnosis import CHECKS, Facts, run_checks
from medctx3d.diagnosis.forecast import Forecast, TrialPlan, reckon
from medctx3d.diagnosis.machine import Disk, Machine, Needs, look_at_disk, look_at_machine

GB = 10**9
DISK = Disk('work', 100 * GB, 1, '')
MACHINE = Machine(8, 64 * GB, 60 * GB, 8 * GB, 1024, 'a GPU', 24 * GB, 24 * GB)
NEEDS = Needs(Disk('store', 100 * GB, 2, ''), 5 * GB, False, DISK, GB, 3, 4, 2, GB // 10, 300)
FORECAST = Forecast(device='a GPU', iterations=100, memory=8 * GB, gpu_memory=10 * GB)
SHORTAGES: dict[str, tuple[str, str, dict[str, Any]]] = {
    'config': ('config', 'classes', dict(config_problems=('classes do not fit',))),
    'trial': ('trial', 'out of memory', dict(forecast=Forecast(problem='CUDA out of memory'))),
    'work dir': (
        'unwritable_folder',
        'read-only',
        dict(needs=NEEDS._replace(work_dir=DISK._replace(problem='read-only'))),
    ),
    'store': ('full_disk', 'take 200 GB, 100 GB are free', dict(needs=NEEDS._replace(store_bytes=200 * GB))),
    'checkpoints': ('full_disk', '3 checkpoints take 150 GB', dict(needs=NEEDS._replace(checkpoint_bytes=50 * GB))),
    'both on one disk': (
        'full_disk',
        'prepared volumes and 3 checkpoints take 120 GB',
        dict(needs=NEEDS._replace(store=DISK, store_bytes=90 * GB, checkpoint_bytes=10 * GB)),
    ),
    'store with crops': (
        'perhaps_full_disk',
        'take up to 200 GB',
        dict(needs=NEEDS._replace(store_bytes=200 * GB, store_crops=True)),
    ),
    'memory': ('short_memory', '70 GB', dict(forecast=FORECAST._replace(memory=70 * GB))),
    'GPU memory': ('short_gpu_memory', '23 GB of 24 GB', dict(forecast=FORECAST._replace(gpu_memory=23 * GB))),
    'shared memory': ('short_shared_memory', '16 GB', dict(needs=NEEDS._replace(batch_bytes=2 * GB))),
    'open files': ('few_open_files', 'may open 1024 files', dict(needs=NEEDS._replace(open_files=2000))),
    'workers': ('too_many_workers', '12 workers share 8', dict(needs=NEEDS._replace(workers=12))),
}


def findings(**changes: Any) -> list:
    facts = dict(splits=(), machine=MACHINE, needs=NEEDS, forecast=FORECAST)
    return run_checks(Facts(**{**facts, **changes}), ('machine',))


def test_enough_of_everything_is_no_finding() -> None:
    assert findings() == []


@pytest.mark.parametrize('name', SHORTAGES)
def test_a_shortage_is_found_with_its_figures(name: str) -> None:
    check, words, changes = SHORTAGES[name]
    found = findings(**changes)
    assert [finding.check for finding in found] == [check]
    assert words in found[0].reason
    assert found[0].fix


def test_every_limit_is_tried() -> None:
    assert {check for check, _, _ in SHORTAGES.values()} == {check.name for check in CHECKS if check.part == 'machine'}


def test_this_machine_has_limits() -> None:
    machine = look_at_machine()
    assert machine.cores >= 1
    assert 0 < machine.memory_free <= machine.memory
    assert machine.open_files is None or machine.open_files > 0


def test_a_disk_is_looked_at_without_making_its_folder(tmp_path) -> None:
    disk = look_at_disk(tmp_path / 'a' / 'b')
    assert disk.free > 0
    assert disk.problem == ''
    assert list(tmp_path.iterdir()) == []
    (tmp_path / 'file').touch()
    assert 'it is a file' in look_at_disk(tmp_path / 'file' / 'b').problem


def test_the_whole_training_is_reckoned_from_its_parts() -> None:
    measured = dict(
        device='CPU',
        iterations=1000,
        timed=20,
        iteration=0.5,
        until=0.0,
        prepared=4.0,
        validation_start=2.0,
        validation_case=1.0,
        validations=5,
        save=0.25,
        saves=4,
        memory=1,
        gpu_memory=0,
        gpu_tensors=0,
        checkpoint=7,
        cases=4,
    )
    plan = TrialPlan(train=['a'], val=['b'], voxels_lacking=300, voxels_tried=100, validated=10, processes=2)
    forecast = reckon(measured, plan)
    assert forecast.preparing == 4.0 * 3 / 2
    assert forecast.validating == 5 * (2 + 10)
    assert forecast.saving == 1.0
    assert forecast.total == 500 + 6 + 60 + 1

"""Checks of the machine against what a training of the config takes from it."""

from __future__ import annotations

from collections.abc import Iterator

from medctx3d.diagnosis.facts import Facts
from medctx3d.diagnosis.finding import Problem
from medctx3d.utils.sizes import show_size

_RESERVE = 0.9  # of a device's memory that a training may fill


def config_problems(facts: Facts) -> Iterator[Problem]:
    """Parts of the config that do not fit one another."""
    for message in facts.config_problems:
        yield Problem('config', message, 'Correct the config')


def unwritable_folders(facts: Facts) -> Iterator[Problem]:
    """Folders of the run that cannot be written to."""
    for disk in (facts.needs.store, facts.needs.work_dir) if facts.needs else ():
        if disk is not None and disk.problem:
            yield Problem(disk.folder, disk.problem, 'Choose another folder, or ask for the right to write')


def full_disks(facts: Facts) -> Iterator[Problem]:
    """Too little room for checkpoints and prepared volumes whose size is certain."""
    if facts.needs and not (facts.needs.store_crops and _checkpoints_fit(facts)):
        yield from _lack_of_room(facts)


def perhaps_full_disks(facts: Facts) -> Iterator[Problem]:
    """Too little room for prepared volumes, unless cropping makes them fit."""
    if facts.needs and facts.needs.store_crops and _checkpoints_fit(facts):
        yield from _lack_of_room(facts)


def short_memory(facts: Facts) -> Iterator[Problem]:
    """Main memory that the training would fill."""
    if facts.machine and facts.forecast and facts.forecast.memory:
        taken, free = facts.forecast.memory, facts.machine.memory_free
        if taken > free:
            yield Problem(
                'memory',
                f'the training takes about {show_size(taken)} with its workers, {show_size(free)} of '
                f'{show_size(facts.machine.memory)} are free',
                'Use a smaller crop or batch, or fewer workers',
            )


def short_gpu_memory(facts: Facts) -> Iterator[Problem]:
    """Memory of the GPU that the training would fill."""
    if facts.machine and facts.machine.gpu and facts.forecast and facts.forecast.gpu_memory:
        taken, there = facts.forecast.gpu_memory, facts.machine.gpu_memory
        if taken > _RESERVE * there:
            yield Problem(
                facts.machine.gpu,
                f'the training reserves {show_size(taken)} of {show_size(there)}',
                'Use a smaller batch or crop, --amp, or model.passes="sequential"',
            )


def failed_trial(facts: Facts) -> Iterator[Problem]:
    """Trial iterations that ended in an error."""
    if facts.forecast and facts.forecast.problem:
        yield Problem('trial', facts.forecast.problem, 'Correct what it names; tools/train.py would end the same way')


def short_shared_memory(facts: Facts) -> Iterator[Problem]:
    """Shared memory that workers would fill with batches."""
    if facts.machine and facts.needs and facts.machine.shared_free is not None and facts.needs.workers:
        needs = facts.needs
        taken = needs.workers * needs.batches_ahead * needs.batch_bytes
        if taken > facts.machine.shared_free:
            yield Problem(
                '/dev/shm',
                f'{needs.workers} worker(s) hold up to {needs.batches_ahead} batches of '
                f'{show_size(needs.batch_bytes)} each there, {show_size(taken)}; '
                f'{show_size(facts.machine.shared_free)} are free',
                'Start the container with --shm-size or --ipc=host, or lower num_workers or prefetch_factor',
            )


def few_open_files(facts: Facts) -> Iterator[Problem]:
    """A limit on open files that workers would reach."""
    allowed = facts.machine.open_files if facts.machine else None
    if facts.needs and allowed is not None and facts.needs.open_files > allowed:
        yield Problem(
            'RLIMIT_NOFILE',
            f'a process may open {allowed} files, store and loader keep up to {facts.needs.open_files} open',
            f'Raise it: ulimit -n {max(4096, 2 * facts.needs.open_files)}',
        )


def too_many_workers(facts: Facts) -> Iterator[Problem]:
    """More workers than cores."""
    if facts.machine and facts.needs and facts.needs.workers > facts.machine.cores:
        yield Problem(
            'train_dataloader.num_workers',
            f'{facts.needs.workers} workers share {facts.machine.cores} core(s)',
            f'Set train_dataloader.num_workers to {max(1, facts.machine.cores - 1)}',
        )


def _checkpoints_fit(facts: Facts) -> bool:
    needs = facts.needs
    return needs is None or needs.checkpoint_bytes * needs.checkpoints <= needs.work_dir.free


def _lack_of_room(facts: Facts) -> Iterator[Problem]:
    needs = facts.needs
    if needs is None:
        return
    checkpoints = needs.checkpoint_bytes * needs.checkpoints
    wants = [(needs.work_dir, checkpoints, f'{needs.checkpoints} checkpoints')]
    if needs.store is not None and needs.store_bytes:
        wants.append((needs.store, needs.store_bytes, 'prepared volumes'))
        if needs.store.device == needs.work_dir.device:
            wants = [
                (needs.store, needs.store_bytes + checkpoints, f'prepared volumes and {needs.checkpoints} checkpoints')
            ]
    for disk, taken, what in wants:
        if taken > disk.free:
            yield Problem(
                disk.folder,
                f'{what} take {"up to " if needs.store_crops else ""}{show_size(taken)}, '
                f'{show_size(disk.free)} are free',
                'Free some space, or choose another folder',
            )

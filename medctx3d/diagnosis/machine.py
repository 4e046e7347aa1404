"""What this machine has, and what a config asks of it."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import torch

from medctx3d.utils.atomic import require_writable

_SHARED = Path('/dev/shm')
_MEMORY = Path('/proc/meminfo')
_GROUP_LIMITS = (Path('/sys/fs/cgroup/memory.max'), Path('/sys/fs/cgroup/memory/memory.limit_in_bytes'))


class Disk(NamedTuple):
    """One folder that a run writes to.

    Attributes:
        folder: As the config names it.
        free: Bytes.
        device: Number of the file system, to add up what lies on one.
        problem: Why it cannot be written to, empty where it can.
    """

    folder: str
    free: int
    device: int
    problem: str


class Machine(NamedTuple):
    """Limits of this machine, in bytes where not said otherwise.

    Attributes:
        cores: Processor cores that this process may use.
        memory: That a process may use in all: the machine's, or its container's.
        memory_free: Of it, free now.
        shared_free: Free shared memory, through which loaders' workers hand over batches; None where the system has
            no such limit.
        open_files: Files that a process may have open (RLIMIT_NOFILE, soft); None where there is no such limit.
        gpu: Name of the device that would be trained on, empty without a GPU.
        gpu_memory: Of that device, 0 without.
        gpu_free: Of it, free now.
    """

    cores: int
    memory: int
    memory_free: int
    shared_free: int | None
    open_files: int | None
    gpu: str
    gpu_memory: int
    gpu_free: int


class Needs(NamedTuple):
    """What a training of the config takes from the machine, in bytes where not said otherwise.

    Attributes:
        store: Folder of prepared volumes.
        store_bytes: Still to be prepared there; an upper bound where ``store_crops``.
        store_crops: Whether the pipeline crops or pads before it stores.
        work_dir: Folder of checkpoints.
        checkpoint_bytes: Of one checkpoint.
        checkpoints: How many lie there at once.
        workers: Processes of the training's loader.
        batches_ahead: Batches that each of them may have ready.
        batch_bytes: Of one batch.
        open_files: Files that one process may have open at once.
    """

    store: Disk | None
    store_bytes: int
    store_crops: bool
    work_dir: Disk
    checkpoint_bytes: int
    checkpoints: int
    workers: int
    batches_ahead: int
    batch_bytes: int
    open_files: int


def look_at_machine() -> Machine:
    """The limits of the machine that this runs on."""
    memory, free = _memory()
    gpu = torch.cuda.is_available()
    gpu_free, gpu_memory = torch.cuda.mem_get_info() if gpu else (0, 0)
    return Machine(
        cores=cores(),
        memory=memory,
        memory_free=free,
        shared_free=shutil.disk_usage(_SHARED).free if _SHARED.is_dir() else None,
        open_files=_open_files(),
        gpu=torch.cuda.get_device_name() if gpu else '',
        gpu_memory=gpu_memory,
        gpu_free=gpu_free,
    )


def look_at_disk(folder: str | os.PathLike[str]) -> Disk:
    """What may be written to a folder that perhaps does not exist yet; it is not made."""
    found = Path(folder).expanduser().absolute()
    while not found.exists():
        found = found.parent
    problem = ''
    try:
        require_writable(found, 'folder')
    except OSError as error:
        problem = str(error)
    return Disk(str(folder), shutil.disk_usage(found).free, found.stat().st_dev, problem)


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def _memory() -> tuple[int, int]:
    """All memory and what is free of it; a container's bound counts where it is lower."""
    if not _MEMORY.is_file():
        total = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') if hasattr(os, 'sysconf') else 0
        return total, total
    stated = dict(re.findall(r'^(\w+):\s+(\d+) kB', _MEMORY.read_text(encoding='ascii'), re.MULTILINE))
    total, free = int(stated['MemTotal']) * 2**10, int(stated['MemAvailable']) * 2**10
    for file in _GROUP_LIMITS:
        if file.is_file() and (bound := file.read_text(encoding='ascii').strip()).isdigit():
            total, free = min(total, int(bound)), min(free, int(bound))
    return total, free


def _open_files() -> int | None:
    if sys.platform == 'win32':
        return None
    import resource

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft

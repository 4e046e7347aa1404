"""What the machine did to a training, in the words of its user: the cause, and the setting to change."""

from __future__ import annotations

import errno
import inspect
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from medctx3d.datasets import VolumeDataset
from medctx3d.registry import BACKBONES

_SHARED_MEMORY = Path('/dev/shm')
_DEAD_WORKER = re.compile(r'DataLoader worker \(pid\(?s?\)? ?([\d, ]+)\) (?:is killed by signal: ([\w ]+)|exited)')
_IN_WORKER = re.compile(r'^Caught (\w+) in DataLoader worker process (\d+)')


class MachineError(OSError):
    """Memory, a worker process or a file failed during a run; the message says which and what to change."""


@contextmanager
def explained(config: Config, datasets: Sequence[VolumeDataset] = ()) -> Iterator[None]:
    """Turn failures of the machine in the block into a :class:`MachineError` that names the setting to change.

    Args:
        config: Of the run, for the values that are set.
        datasets: Those in use, whose prepared volumes are looked at when a worker died of a broken file.

    Raises:
        MachineError: From the failure itself, where it is the machine's; any other passes.
    """
    try:
        yield
    except (RuntimeError, MemoryError, OSError, ValueError) as error:
        words = explain(error, config, datasets)
        if words is None:
            raise
        raise MachineError(words) from error


def explain(error: BaseException, config: Config, datasets: Sequence[VolumeDataset] = ()) -> str | None:
    """The cause of a failure and its remedy, None where the machine is not to blame.

    Arguments are those of :func:`explained`.
    """
    text = str(error)
    if _DEAD_WORKER.search(text):
        return _of_dead_worker(*_who_and_how(error), config, datasets)
    inside = _IN_WORKER.match(text)
    last = text.strip().splitlines()[-1] if text.strip() else ''
    where = f' in worker process {inside[2]} of a loader' if inside else _batch_of(error)
    if isinstance(error, torch.OutOfMemoryError):
        return f'the memory of the GPU does not suffice{where}: {last}. {_smaller_step(config)}'
    if _is_memory(error, text):
        remedy = _fewer_workers(config) if inside else _smaller_step(config)
        return f'the memory of the machine does not suffice{where}: {last or "MemoryError"}. {remedy}'
    if inside and isinstance(error, (OSError, ValueError)):  # torch puts a whole traceback into the message
        return f'{last.partition(": ")[2] or last} ({inside[1]}{where})'
    return None


def _is_memory(error: BaseException, text: str) -> bool:
    known = ('MemoryError', "DefaultCPUAllocator: can't allocate memory", 'unable to mmap', 'Cannot allocate memory')
    return (
        isinstance(error, MemoryError) or getattr(error, 'errno', 0) == errno.ENOMEM or any(k in text for k in known)
    )


def _who_and_how(error: BaseException | None) -> tuple[str, str]:
    """Process id of a dead worker and the signal that ended it, which torch may have told one error earlier."""
    pids = signal = ''
    while error is not None and not signal:
        if dead := _DEAD_WORKER.search(str(error)):
            pids, signal = dead[1].strip(), (dead[2] or '').strip()
        error = error.__cause__ or error.__context__
    return pids, signal


def _of_dead_worker(pids: str, signal: str, config: Config, datasets: Sequence[VolumeDataset]) -> str:
    who = f'a worker process of a loader (pid {pids})'
    if signal == 'Killed':
        return (
            f'{who} was killed from outside, most often by the system because memory ran out (dmesg, or the log of '
            f'the job, says so). {_fewer_workers(config)}, or ask the cluster for more memory (--mem)'
        )
    if signal == 'Bus error':
        damaged = [case for dataset in datasets if dataset.store is not None for case in dataset.store.damaged()]
        if damaged:
            return (
                f'{who} ended with a bus error, and prepared volumes were removed or cut short while in use: '
                f'{", ".join(damaged[:5])}. Something else writes to {datasets[0].store.root}, or its disk fails; '  # type: ignore[union-attr]
                'start again with --resume, and they are rebuilt'
            )
        return (
            f'{who} ended with a bus error: the shared memory through which workers hand over batches is full '
            f'({_room(_SHARED_MEMORY)}). {_fewer_workers(config)}; or, in a container, raise it (docker run '
            '--shm-size=8g, or --ipc=host)'
        )
    without = ' '.join(f'{name}.num_workers=0' for name in _loaders(config))
    if signal:
        return (
            f'{who} was ended by the signal {signal}: a compiled library crashed, or somebody ended it. With '
            f'{without} the same happens in the main process, where it can be seen'
        )
    return (
        f'{who} ended without saying why: the system ended it because memory ran out (dmesg, or the log of the job, '
        f'says so), or a compiled library crashed. {_fewer_workers(config)}; with {without} a crash happens in the '
        'main process, where it can be seen'
    )


def _room(folder: Path) -> str:
    if not folder.is_dir():
        return f'{folder} does not exist'
    usage = shutil.disk_usage(folder)
    return f'{folder} has {usage.free / 2**20:.0f} of {usage.total / 2**20:.0f} MB free now'


def _loaders(config: Config) -> dict[str, Any]:
    """The loaders with workers."""
    names = [f'{stage}_dataloader' for stage in ('train', 'val', 'test')]
    return {name: config[name] for name in names if (config.get(name) or {}).get('num_workers', 0) > 0}


def _fewer_workers(config: Config) -> str:
    train = config.get('train_dataloader') or {}
    settings = [f'{name}.num_workers ({loader.num_workers})' for name, loader in _loaders(config).items()]
    settings.append(f'train_dataloader.prefetch_factor ({train.get("prefetch_factor", 2)})')
    return f'Lower {", ".join(settings)} or train_dataloader.batch_size ({train.get("batch_size")})'


def _smaller_step(config: Config) -> str:
    """What a step's memory depends on, with the values that are set."""
    train, model = config.get('train_dataloader') or {}, config.get('model') or {}
    settings = [
        f'train_dataloader.batch_size (it is {train.get("batch_size")}; optim_wrapper.accumulative_counts makes up)'
    ]
    for position, transform in enumerate((train.get('dataset') or {}).get('pipeline') or []):
        if isinstance(transform, dict) and transform.get('type') == 'ForegroundCrop':
            settings.append(
                f'the crop, train_dataloader.dataset.pipeline.{position}.size ({tuple(transform["size"])})'
            )
    words = f'Lower {" or ".join(settings)}'
    options = []
    if model.get('auxiliary') and model.get('passes') != 'sequential':
        options.append("model.passes='sequential'")
    backbone = ((model.get('network') or {}).get('backbone') or {}).get('type')
    if isinstance(backbone, str) and 'use_checkpoint' in inspect.signature(BACKBONES.get(backbone)).parameters:
        options.append('model.network.backbone.use_checkpoint=True')
    if 'Amp' not in str((config.get('optim_wrapper') or {}).get('type')):
        options.append('--amp')
    return words + (f'; or set {", ".join(options)}' if options else '')


def _batch_of(error: BaseException) -> str:
    """The cases of the batch that a loop was busy with, from the frames that the error came through."""
    trace, cases = error.__traceback__, ''
    while trace is not None:
        batch = trace.tb_frame.f_locals.get('data_batch')
        if isinstance(batch, dict) and batch.get('data_samples'):
            loop = type(trace.tb_frame.f_locals.get('self')).__name__
            named = ', '.join(str(sample.get('case')) for sample in batch['data_samples'])
            cases = f' in {"validation" if loop.startswith("Val") else "a step"} with {named}'
        trace = trace.tb_next
    return cases

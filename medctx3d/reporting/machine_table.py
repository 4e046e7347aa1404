"""Limits of the machine beside what a training needs, and its forecast, in words."""

from __future__ import annotations

from typing import Any

from medctx3d.diagnosis import Facts
from medctx3d.diagnosis.forecast import Forecast
from medctx3d.diagnosis.machine import Machine
from medctx3d.utils.sizes import show_size

_UNKNOWN = 'not known'


def machine_rows(facts: Facts) -> list[dict[str, str]]:
    """What is limited, what is there, and what the config needs of it."""
    machine, needs, forecast = facts.machine, facts.needs, facts.forecast or Forecast()
    if machine is None or needs is None:
        return []
    batches = needs.workers * needs.batches_ahead * needs.batch_bytes
    rows = [
        ('Processor cores', str(machine.cores), f'{needs.workers} loader worker(s) beside the training'),
        ('Main memory free', f'{_size(machine.memory_free)} of {_size(machine.memory)}', _size(forecast.memory)),
        (
            'GPU memory',
            f'{_size(machine.gpu_memory)} ({machine.gpu})' if machine.gpu else 'no GPU: the CPU would train',
            _size(forecast.gpu_memory) if machine.gpu else 'none',
        ),
        ('Shared memory free', _size(machine.shared_free), _size(batches) if batches else 'none'),
        ('Open files allowed', str(machine.open_files or 'no limit'), str(needs.open_files)),
        (
            f'Disk of checkpoints ({needs.work_dir.folder})',
            _size(needs.work_dir.free),
            f'{_size(needs.checkpoints * needs.checkpoint_bytes)} ({needs.checkpoints} at once)',
        ),
    ]
    if needs.store is not None:
        bound = 'at most ' if needs.store_crops else ''
        need = f'{bound}{_size(needs.store_bytes)}' if needs.store_bytes else 'nothing: all is prepared'
        rows.append((f'Disk of prepared volumes ({needs.store.folder})', _size(needs.store.free), need))
    return [dict(limit=limit, there=there, needed=needed) for limit, there, needed in rows]


def forecast_words(forecast: Forecast | None, machine: Machine | None) -> str:
    """The forecast and how it was made; why there is none."""
    if forecast is None:
        return 'No iterations were tried (--trial-seconds 0).'
    if forecast.skipped:
        return f'No iterations were tried: {forecast.skipped}.'
    if forecast.problem:
        return f'The trial iterations failed: {forecast.problem}.'
    parts = [
        f'{forecast.iterations} iterations of {forecast.iteration:.3g} s',
        f'{show_time(forecast.preparing)} for preparing volumes' if forecast.preparing else '',
        f'{show_time(forecast.validating)} for validations' if forecast.validating else '',
        f'{show_time(forecast.saving)} for checkpoints',
    ]
    return (
        f'About {show_time(forecast.total)} in one process on {forecast.device}: '
        f'{", ".join(part for part in parts if part)}. Measured over {forecast.timed} iterations of this config, on '
        f'{forecast.cases} of its training cases, after a warm-up; loader and workers as configured. It holds for a '
        'machine that is as busy then as it was now.'
    )


def show_time(seconds: float) -> str:
    """Seconds as people say them, such as ``3.2 h``."""
    for unit, factor in (('days', 86400), ('h', 3600), ('min', 60)):
        if seconds >= 2 * factor:
            return f'{seconds / factor:.3g} {unit}'
    return f'{seconds:.3g} s'


def _size(count: Any) -> str:
    return show_size(count) if count else _UNKNOWN

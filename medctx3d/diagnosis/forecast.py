"""Time and memory of a training, from a few of its own iterations."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

SECONDS = 20.0
"""How long iterations are timed by default."""

_START = 900.0  # s that a trial may take beside the iterations: imports, preparing, slow first steps


class Forecast(NamedTuple):
    """What a training of the config takes on this machine, seconds and bytes.

    Attributes:
        device: Where the network was: a GPU's name, or ``CPU``.
        iterations: Of the whole training.
        timed: Iterations that were timed, after those of the warm-up.
        iteration: Mean seconds of one, waiting for data included.
        until: Unix time at which the last of them ended.
        preparing: Seconds for the volumes that the store lacks.
        validating: Seconds of all validations.
        saving: Seconds of all checkpoints.
        total: Sum of all.
        memory: Most main memory, the loader's workers included.
        gpu_memory: Most memory that was reserved on the GPU; 0 without one.
        gpu_tensors: Of it, what tensors took.
        checkpoint: Bytes of a checkpoint.
        cases: Training cases that were used.
        problem: Error that ended the trial, empty where it went well; then all figures are 0.
        skipped: Why there was no trial.
    """

    device: str = ''
    iterations: int = 0
    timed: int = 0
    iteration: float = 0.0
    until: float = 0.0
    preparing: float = 0.0
    validating: float = 0.0
    saving: float = 0.0
    total: float = 0.0
    memory: int = 0
    gpu_memory: int = 0
    gpu_tensors: int = 0
    checkpoint: int = 0
    cases: int = 0
    problem: str = ''
    skipped: str = ''


class TrialPlan(NamedTuple):
    """What a trial is run on.

    Attributes:
        train: Ids of training cases; None for all, read from the config's own store.
        val: Ids of validation cases, at most a few.
        seconds: How long iterations are timed.
        voxels_lacking: Source voxels of all cases that the store lacks.
        voxels_tried: Of the cases in ``train``.
        validated: Cases of one validation.
        processes: That will prepare.
        draws: Of an epoch, over all training cases.
    """

    train: list[str] | None
    val: list[str]
    seconds: float = SECONDS
    voxels_lacking: int = 0
    voxels_tried: int = 0
    validated: int = 0
    processes: int = 1
    draws: int = 1


def run_trial(config: Config, plan: TrialPlan) -> Forecast:
    """Train a few iterations in a process of its own, and reckon the whole from them.

    Everything is the config's own: network, optimiser, hooks, loader and workers. Volumes that the store lacks are
    prepared in a temporary folder, where logs go as well; nothing of the user's is written to.

    Args:
        config: As given to training.
        plan: The cases to run it on.
    """
    with tempfile.TemporaryDirectory(prefix='medctx3d-trial-') as folder:
        (Path(folder) / 'plan.json').write_text(json.dumps(plan._asdict()), encoding='utf-8')
        Config(config.to_dict(), format_python_code=False).dump(Path(folder) / 'config.py')
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(path for path in [os.getcwd(), *sys.path] if path))
        line = [sys.executable, '-m', 'medctx3d.diagnosis.trial', folder]
        try:
            done = subprocess.run(
                line,
                env=environment,
                capture_output=True,
                encoding='utf-8',
                errors='replace',
                timeout=_START + 10 * plan.seconds,
            )
        except subprocess.TimeoutExpired:
            return Forecast(skipped=f'a few iterations took more than {_START + 10 * plan.seconds:.0f} s')
        answer = Path(folder) / 'answer.json'
        if not answer.is_file():
            return Forecast(problem=_last_words(done))
        return reckon(json.loads(answer.read_text(encoding='utf-8')), plan)


def reckon(measured: dict[str, Any], plan: TrialPlan) -> Forecast:
    """The whole training from what a trial measured.

    Args:
        measured: What :mod:`medctx3d.diagnosis.trial` writes: ``device``, ``iterations``, ``timed``, ``iteration``,
            ``until``, ``prepared``, ``validation_start``, ``validation_case``, ``validations``, ``save``, ``saves``,
            ``checkpoint``, ``memory``, ``gpu_memory``, ``gpu_tensors``, ``cases``.
        plan: That it followed.
    """
    share = plan.voxels_lacking / plan.voxels_tried if plan.voxels_tried else 0.0
    preparing = measured['prepared'] * share / max(1, plan.processes)
    validating = measured['validations'] * (
        measured['validation_start'] + plan.validated * measured['validation_case']
    )
    saving = measured['saves'] * measured['save']
    names = ('device', 'iterations', 'timed', 'iteration', 'until', 'memory', 'gpu_memory', 'gpu_tensors')
    return Forecast(
        **{name: measured[name] for name in (*names, 'checkpoint', 'cases')},
        preparing=preparing,
        validating=validating,
        saving=saving,
        total=preparing + measured['iterations'] * measured['iteration'] + validating + saving,
    )


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f'the trial was ended by signal {-done.returncode}; with 9 the memory was probably full'
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip() and not line.startswith('(the call')]
    return (lines[-1] if lines else f'the trial ended with code {done.returncode}').removeprefix('error: ')

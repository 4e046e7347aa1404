"""A few iterations of a training, timed: ``python -m medctx3d.diagnosis.trial FOLDER``.

``FOLDER`` has ``config.py`` and ``plan.json`` (:class:`~medctx3d.diagnosis.forecast.TrialPlan`) and gets
``answer.json``. A process of its own, because peak memory is a process's.
"""

from __future__ import annotations

import json
import math
import sys
import time
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from medctx3d.datasets import VolumeDataset
from medctx3d.diagnosis.forecast import TrialPlan
from medctx3d.engine.completion import close_schedules
from medctx3d.engine.launch import build_runner
from medctx3d.registry import DATASETS, register_all_modules
from medctx3d.utils.command_line import run_tool
from medctx3d.utils.process_memory import peak_memory, proportional_memory
from medctx3d.utils.setup_env import setup_environment

_WARM_UP = 10  # iterations, or a quarter of the time, whichever comes first
_ENOUGH = 300  # timed iterations: more say nothing new
_NEVER = 10**9


class TrialClock(Hook):
    """Times iterations, and ends the training when it has seen enough.

    Args:
        seconds: How long iterations are timed, three of them at least.
    """

    priority = 'LOWEST'

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.begun = self.started = self.ended = 0.0
        self.until = 0.0  # Unix time of the end
        self.warm_up = self.done = 0
        self.memory = 0
        self.cases: list[float] = []

    @property
    def timed(self) -> int:
        """Iterations between ``started`` and ``ended``."""
        return self.done - self.warm_up

    def before_train(self, runner: Runner) -> None:
        """Begin the warm-up."""
        self.begun = time.perf_counter()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Count, and stop once it is enough."""
        if self.ended:  # a loop by epochs ends only with its epoch
            return
        self.done += 1
        now = time.perf_counter()
        if not self.started:
            waited = now - self.begun > self.seconds / 4
            if self.done >= 2 and (self.done >= _WARM_UP or waited):
                _wait()
                self.started, self.warm_up = time.perf_counter(), self.done
            return
        if self.timed >= _ENOUGH or (self.timed >= 3 and now - self.started > self.seconds):
            self.finish()
            runner.train_loop.stop_training = True

    def after_train(self, runner: Runner) -> None:
        """A training shorter than the trial."""
        self.finish()

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Note when a case was done."""
        self.cases.append(time.perf_counter())

    def finish(self) -> None:
        """Stop the clock, look at memory."""
        if not self.ended:
            _wait()
            self.ended, self.until = time.perf_counter(), time.time()
            self.memory = peak_memory() + sum(proportional_memory(child.pid or 0) for child in active_children())


def main() -> None:
    """Run the trial that a folder describes."""
    folder = Path(sys.argv[1])
    setup_environment()
    register_all_modules()
    plan = TrialPlan(**json.loads((folder / 'plan.json').read_text(encoding='utf-8')))
    config = trial_config(Config.fromfile(str(folder / 'config.py'), lazy_import=False), plan, folder)
    answer = measure(config, plan, folder)
    (folder / 'answer.json').write_text(json.dumps(answer), encoding='utf-8')


def trial_config(config: Config, plan: TrialPlan, folder: Path) -> Config:
    """A training config for a trial: the chosen cases, temporary folders, no checkpoint, no validation in between."""
    config.work_dir, config.resume, config.load_from = str(folder / 'work'), False, None
    config.default_hooks = {key: hook for key, hook in config.default_hooks.items() if key != 'progress'}
    checkpoint = config.default_hooks.get('checkpoint')
    config.trial_saves = dict(checkpoint or {})
    if checkpoint:
        checkpoint.update(interval=-1, save_last=False, save_best=None)
    if plan.train is not None:
        _use(config.train_dataloader.dataset, plan.train, folder)
    for key in ('test_dataloader', 'test_cfg', 'test_evaluator'):
        config[key] = None
    config.trial_validates = config.train_cfg.get('val_interval', 1) if config.get('val_dataloader') else 0
    if config.get('val_dataloader'):
        if plan.val:
            _use(config.val_dataloader.dataset, plan.val, folder)
        else:
            config.val_dataloader = config.val_cfg = config.val_evaluator = None
    config.train_cfg.val_interval = _NEVER
    close_schedules(config)
    return config


def measure(config: Config, plan: TrialPlan, folder: Path) -> dict[str, Any]:
    """Train until the clock has seen enough, validate and save once; seconds and bytes."""
    began = time.perf_counter()
    dataset = DATASETS.build(dict(config.train_dataloader.dataset, lazy_init=True))
    if isinstance(dataset, VolumeDataset) and plan.train is not None and dataset.store is not None:
        dataset.read_list()
        began = time.perf_counter()
        dataset.prepare_volumes()
    prepared = time.perf_counter() - began
    saving, validates = config.pop('trial_saves'), config.pop('trial_validates')
    runner = build_runner(config)
    clock = TrialClock(plan.seconds)
    runner.register_hook(clock)
    runner.train()
    gpu = torch.cuda.is_available()
    answer = dict(
        device=torch.cuda.get_device_name() if gpu else 'CPU',
        iterations=_iterations(runner, plan),
        timed=clock.timed,
        iteration=(clock.ended - clock.started) / clock.timed if clock.timed else clock.ended - clock.begun,
        until=clock.until,
        prepared=prepared,
        memory=clock.memory,
        gpu_memory=torch.cuda.max_memory_reserved() if gpu else 0,
        gpu_tensors=torch.cuda.max_memory_allocated() if gpu else 0,
        cases=len(plan.train) if plan.train is not None else len(dataset),
    )
    answer |= _validate(runner, clock, validates)
    every, length = saving.get('interval', -1), _epochs(runner) if saving.get('by_epoch') else answer['iterations']
    began = time.perf_counter()
    runner.save_checkpoint(str(folder), 'trial.pth', by_epoch=False)
    saves = math.ceil(length / every) if every > 0 else 1
    size = (folder / 'trial.pth').stat().st_size
    return answer | dict(save=time.perf_counter() - began, saves=saves, checkpoint=size)


def _validate(runner: Runner, clock: TrialClock, every: int) -> dict[str, Any]:
    """Seconds before the first case of a validation is done, and of each further one."""
    if runner.val_loop is None:
        return dict(validations=0, validation_start=0.0, validation_case=0.0)
    clock.cases.clear()
    began = time.perf_counter()
    runner.val_loop.run()
    whole = time.perf_counter() - began
    each = (clock.cases[-1] - clock.cases[0]) / (len(clock.cases) - 1) if len(clock.cases) > 1 else whole
    by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
    count = math.ceil((_epochs(runner) if by_epoch else runner.max_iters) / every) if every else 0
    return dict(validations=count, validation_start=max(0.0, whole - each * len(clock.cases)), validation_case=each)


def _iterations(runner: Runner, plan: TrialPlan) -> int:
    """Of the whole training; epochs are those of all cases, not of the few that are tried."""
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        return _epochs(runner) * math.ceil(plan.draws / runner.train_loop.dataloader.batch_size)
    return int(runner.max_iters)


def _epochs(runner: Runner) -> int:
    return int(runner.max_epochs)


def _use(dataset: Any, cases: list[str], folder: Path) -> None:
    """Let a data set have some cases only, prepared in a folder of the trial."""
    dataset.cases = cases
    dataset.pop('part', None)  # of the split, in which the cases are already
    if dataset.get('store'):
        dataset.store.root, dataset.store.num_workers = str(folder / 'store'), 0


def _wait() -> None:
    """Until the GPU has done all that it was asked for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == '__main__':
    run_tool(main)

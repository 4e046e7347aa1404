"""How far the forecast of tools/doctor.py is from what a training then takes.

    python tools/benchmark/forecast.py
    python tools/benchmark/forecast.py configs/medcontext/unet_hippocampus.py --iterations 150 --repeats 3
    python tools/benchmark/forecast.py CONFIG --together                      (on a machine whose load changes)

Makes a forecast, trains for some iterations in a process of its own, makes another forecast, in turns, each with an
empty store of its own. A training is held against the mean of the forecasts before and after it. With --together a
training runs beside each forecast instead, and the forecast's iterations are held against those that the training did
in the same seconds: whatever else the machine does falls on both. Ends with one JSON line: forecast over measured for
the time of an iteration, the whole run and memory.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.console import Console
from rich.table import Table

from medctx3d.apis.examination import examine
from medctx3d.apis.training import set_randomness, train_config
from medctx3d.diagnosis.forecast import Forecast
from medctx3d.engine.completion import close_schedules
from medctx3d.engine.launch import open_config
from medctx3d.engine.stop_request import Preempted
from medctx3d.registry import HOOKS
from medctx3d.utils.command_line import add_config_options, run_tool
from medctx3d.utils.process_memory import peak_memory, proportional_memory

CONFIG = str(Path(__file__).resolve().parents[2] / 'configs/medcontext/unet_hippocampus.py')
MARKS = 'marks.txt'
ENDLESS = 10**6  # iterations of a training that is stopped from outside
WARM_UP = 10  # iterations that the mean leaves out, as the forecast does


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', nargs='?', default=CONFIG, help='config of a training (default: %(default)s)')
    parser.add_argument('--iterations', type=int, default=150, help='of each training (default: %(default)s)')
    parser.add_argument('--trial-seconds', type=float, default=20.0, help='of each forecast (default: %(default)g)')
    parser.add_argument('--repeats', type=int, default=2, help='trainings (default: %(default)s)')
    parser.add_argument('--together', action='store_true', help='train beside the forecast: time of iterations only')
    add_config_options(parser)
    parser.add_argument('--child', metavar='FOLDER', help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Forecasts and trainings in turns, or be one training."""
    args = parse_args()
    if args.child:
        train(args, Path(args.child))
        return
    if args.together:
        show_together([beside(args) for _ in range(args.repeats)])
        return
    forecasts, trainings = [forecast(args)], []
    for _ in range(args.repeats):
        trainings.append(measure())
        forecasts.append(forecast(args))
    show(forecasts, trainings)


def opened(args: argparse.Namespace, folder: Path) -> Config:
    """The config with folders of its own."""
    config = open_config(args.config, args.cfg_options, safe=args.safe)
    config.work_dir = str(folder / 'work')
    config.train_cfg.max_iters = args.iterations
    for stage in ('train', 'val', 'test'):
        if config.get(f'{stage}_dataloader') and config[f'{stage}_dataloader'].dataset.get('store'):
            config[f'{stage}_dataloader'].dataset.store.root = str(folder / 'store')
    set_randomness(config, 0)
    return config


def forecast(args: argparse.Namespace) -> Forecast:
    """What the doctor says."""
    with tempfile.TemporaryDirectory() as folder:
        config = opened(args, Path(folder))
        close_schedules(config)
        found = examine(config, trial=args.trial_seconds).facts.forecast
    if found is None or found.problem or found.skipped:
        raise ValueError(f'no forecast: {found and (found.problem or found.skipped)}; choose another config')
    return found


def measure() -> dict:
    """What a training takes: seconds of an iteration and of the whole, bytes."""
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, __file__, *sys.argv[1:], '--child', folder]
        done = subprocess.run(line, stdout=subprocess.PIPE, encoding='utf-8', check=True, env=dict(os.environ))
    return json.loads(done.stdout.splitlines()[-1])


def beside(args: argparse.Namespace) -> tuple[float, float, int]:
    """Seconds of an iteration: forecast, and measured in the same seconds; and how many were measured."""
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, __file__, *sys.argv[1:], '--child', folder]
        training = subprocess.Popen(line, stdout=subprocess.DEVNULL)
        try:
            marks = Path(folder) / MARKS
            while not (marks.is_file() and len(marks.read_text(encoding='ascii').split()) > WARM_UP):
                if training.poll() is not None:
                    raise ChildProcessError('the training ended before it began; its own words are above')
                time.sleep(0.5)
            said = forecast(args)
        finally:
            training.terminate()
            training.wait()
        times = [float(mark) for mark in marks.read_text(encoding='ascii').split()]
    since = said.until - said.timed * said.iteration
    inside = [mark for mark in times if since <= mark <= said.until]
    if len(inside) < 3:
        raise ValueError(f'{len(inside)} iterations of the training fell into the forecast: more --iterations')
    return said.iteration, (inside[-1] - inside[0]) / (len(inside) - 1), len(inside) - 1


@HOOKS.register_module(force=True)  # a test may run this file more than once
class MarkHook(Hook):
    """Writes down when each iteration ended."""

    def __init__(self, file: str) -> None:
        self.file = file

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Append the Unix time."""
        with open(self.file, 'a', encoding='ascii') as stream:
            stream.write(f'{time.time()}\n')


def train(args: argparse.Namespace, folder: Path) -> None:
    """Be one training, and print what it took."""
    config = opened(args, folder)
    config.custom_hooks = [*(config.get('custom_hooks') or []), dict(type='MarkHook', file=str(folder / MARKS))]
    if args.together:
        config.train_cfg.max_iters = ENDLESS
    workers = [0]
    threading.Thread(target=watch, args=(workers,), daemon=True).start()
    began = time.perf_counter()
    try:
        runner = train_config(config)
    except Preempted:  # by the one that it runs beside
        return
    total = time.perf_counter() - began
    times, _ = runner.message_hub.get_scalar('train/time').data
    gpu = torch.cuda.max_memory_reserved() if torch.cuda.is_available() else 0
    answer = dict(
        iteration=float(times[WARM_UP:].mean()), total=total, memory=peak_memory() + max(workers), gpu_memory=gpu
    )
    print(json.dumps(answer))


def watch(workers: list[int]) -> None:
    """Memory of the loader's workers, every second."""
    while True:
        workers.append(sum(proportional_memory(child.pid or 0) for child in active_children()))
        time.sleep(1)


def show_together(pairs: list[tuple[float, float, int]]) -> None:
    """A line for each pair, then the line of JSON."""
    for said, measured, count in pairs:
        print(f'forecast {said:.4g} s, measured over {count} iterations {measured:.4g} s: {said / measured:.3f}')
    print(json.dumps(dict(ratios=dict(iteration=[round(said / measured, 3) for said, measured, _ in pairs]))))


def show(forecasts: list[Forecast], trainings: list[dict]) -> None:
    """A table, then the line of JSON."""
    table = Table('', 'forecast before', 'forecast after', 'measured', 'mean forecast / measured', title='forecasts')
    ratios: dict[str, list[float]] = {}
    for number, training in enumerate(trainings):
        for key in ('iteration', 'total', 'memory', 'gpu_memory'):
            before, after = (getattr(forecasts[number + step], key) for step in (0, 1))
            if training[key]:
                ratio = statistics.mean((before, after)) / training[key]
                ratios.setdefault(key, []).append(round(ratio, 3))
                table.add_row(key, f'{before:.4g}', f'{after:.4g}', f'{training[key]:.4g}', f'{ratio:.3f}')
    Console().print(table)
    print(json.dumps(dict(device=forecasts[0].device, ratios=ratios)))


if __name__ == '__main__':
    run_tool(main)

"""How far the forecast of tools/doctor.py is from what a training then takes.

    python tools/benchmark/forecast.py
    python tools/benchmark/forecast.py configs/medcontext/unet_hippocampus.py --iterations 150 --repeats 3

Makes a forecast, trains for some iterations in a process of its own, makes another forecast, in turns, each with an
empty store of its own. The forecast that a training is held against is the mean of the one before and the one after,
so that a machine whose load changes slowly falls on both. Ends with one JSON line: forecast over measured, for the
time of an iteration, the whole run, and memory, of every repeat.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from mmengine.config import Config
from rich.console import Console
from rich.table import Table

from medctx3d.apis.examination import examine
from medctx3d.apis.training import set_randomness, train_config
from medctx3d.diagnosis.forecast import Forecast
from medctx3d.engine.launch import close_schedules, open_config
from medctx3d.utils.command_line import add_config_options, run_tool
from medctx3d.utils.process_memory import peak_memory

CONFIG = str(Path(__file__).resolve().parents[2] / 'configs/medcontext/unet_hippocampus.py')
WARM_UP = 10  # iterations that the mean leaves out, as the forecast does


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', nargs='?', default=CONFIG, help='config of a training (default: %(default)s)')
    parser.add_argument('--iterations', type=int, default=150, help='of each training (default: %(default)s)')
    parser.add_argument('--trial-seconds', type=float, default=20.0, help='of each forecast (default: %(default)g)')
    parser.add_argument('--repeats', type=int, default=2, help='trainings (default: %(default)s)')
    add_config_options(parser)
    parser.add_argument('--child', metavar='FOLDER', help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Forecasts and trainings in turns, or be one training."""
    args = parse_args()
    if args.child:
        train(args, Path(args.child))
        return
    forecasts, trainings = [forecast(args)], []
    for _ in range(args.repeats):
        trainings.append(measure())
        forecasts.append(forecast(args))
    show(forecasts, trainings)


def opened(args: argparse.Namespace, folder: Path) -> Config:
    """The config with folders of its own."""
    config = open_config(args.config, args.cfg_options)
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


def train(args: argparse.Namespace, folder: Path) -> None:
    """Be one training, and print what it took."""
    config = opened(args, folder)
    began = time.perf_counter()
    runner = train_config(config)
    total = time.perf_counter() - began
    times, _ = runner.message_hub.get_scalar('train/time').data
    gpu = torch.cuda.max_memory_reserved() if torch.cuda.is_available() else 0
    answer = dict(iteration=float(times[WARM_UP:].mean()), total=total, memory=peak_memory(), gpu_memory=gpu)
    print(json.dumps(answer))


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

"""Seconds from a config to the first step of a resumed training, by the step that was reached.

    python tools/benchmark/resume.py CONFIG work_dirs/run/iter_1000.pth --steps 10 10000

The checkpoint is copied as if it had been written at each of the steps: counters, schedules, and a log as long as
that. All of `tools/train.py --resume` is timed, the check of the config and the files included. Rounds are
interleaved, medians are shown. Ends with one JSON line: `ratio` is the last step's time over the first's.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from medctx3d.apis.training import set_randomness, train_config
from medctx3d.engine.checkpoint import load_checkpoint_file
from medctx3d.engine.launch import open_config
from medctx3d.registry import HOOKS
from medctx3d.utils.command_line import add_config_options, run_tool


class FirstStep(Exception):  # noqa: N818 - the end of a measurement
    """The training got to its first step."""


@HOOKS.register_module(force=True)  # a test may run this file more than once
class EndAtFirstStep(Hook):
    """Leave the training where it would begin to compute."""

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """The first batch is there."""
        raise FirstStep


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of the training')
    parser.add_argument('checkpoint', help='any checkpoint of it')
    parser.add_argument('--steps', type=int, nargs='+', default=[10, 10000], help='default: 10 10000')
    parser.add_argument('--rounds', type=int, default=5, help='default: %(default)s')
    add_config_options(parser)
    return parser.parse_args()


def main() -> None:
    """Time all steps in turns."""
    args = parse_args()
    content = load_checkpoint_file(args.checkpoint)
    seconds: dict[int, list[float]] = {step: [] for step in args.steps}
    with tempfile.TemporaryDirectory() as folder:
        files = {step: write_at(content, step, Path(folder)) for step in args.steps}
        for _ in range(args.rounds + 1):
            for step, path in files.items():
                seconds[step].append(time_to_first_step(args, step, path))
    medians = {step: statistics.median(taken[1:]) for step, taken in seconds.items()}  # the first round warms up
    for step, median in medians.items():
        print(f'resumed at step {step}: first step after {median:.2f} s ({min(seconds[step]):.2f} at best)')
    ratio = medians[args.steps[-1]] / medians[args.steps[0]]
    print(json.dumps(dict(config=args.config, seconds=medians, ratio=round(ratio, 3))))


def write_at(content: dict[str, Any], step: int, folder: Path) -> Path:
    """A copy of a checkpoint as it would have been at another step."""
    hub = dict(content['message_hub'], runtime_info=dict(content['message_hub']['runtime_info'], iter=step))
    hub['log_scalars'] = {
        name: {key: stretched(value, step) for key, value in buffer.items()}
        for name, buffer in hub['log_scalars'].items()
    }
    schedules = [dict(own, last_step=step, _global_step=step + 1) for own in content['param_schedulers']]
    changed = dict(meta=dict(content['meta'], iter=step), message_hub=hub, param_schedulers=schedules)
    path = folder / f'iter_{step}.pth'
    torch.save({**content, **changed}, path)
    return path


def stretched(value: Any, step: int) -> Any:
    """A log's numbers repeated to one per step; anything else as it is."""
    if not isinstance(value, list):
        return value
    return [numbers.repeat(step // len(numbers) + 1)[:step] for numbers in value]


def time_to_first_step(args: argparse.Namespace, step: int, path: Path) -> float:
    """Seconds of a resumed training up to its first step."""
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(FirstStep):
        config = open_config(args.config, args.cfg_options, safe=args.safe)
        config.merge_from_dict(dict(resume=True, load_from=str(path), work_dir=str(path.parent / 'work')))
        config.train_cfg.update(max_iters=step + 1, val_begin=step + 1)
        config.custom_hooks = [*(config.get('custom_hooks') or []), dict(type='EndAtFirstStep')]
        set_randomness(config, None)
        train_config(config)
    return time.perf_counter() - started


if __name__ == '__main__':
    run_tool(main)

"""Time and peak memory of a MedContext step over a baseline step, same network, same batch, same process settings.

    python tools/benchmark/step.py
    python tools/benchmark/step.py configs/medcontext/swinunetr_btcv.py --batch-size 2 --steps 10

The baseline is the config without teacher and auxiliary heads; the other arms are the config in each form of
`model.passes`. Every arm lives in a process of its own, because peak memory is a process's, and the processes take one
step each in turns, so that what else the machine does falls on all. Times are medians over all steps; memory is the
peak over the steps, what the process held before them taken off. Ends with one JSON line: `sum.time_ratio`,
`sum.memory_ratio`, and the same for `sequential` and `concatenated`.

    python tools/benchmark/step.py CONFIG --deterministic

compares the config's own step with and without deterministic kernels instead: `deterministic.time_ratio`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from rich.console import Console
from rich.table import Table

from medctx3d.engine.completion import use_amp
from medctx3d.engine.deterministic import ask_for_deterministic_kernels
from medctx3d.engine.launch import load_config
from medctx3d.models.segmentors import VolumeSegmentor
from medctx3d.registry import MODELS, register_all_modules
from medctx3d.structures import VolumeData, VolumeDataSample
from medctx3d.utils import process_memory
from medctx3d.utils.command_line import add_config_options, run_tool

CONFIG = str(Path(__file__).resolve().parents[2] / 'configs/medcontext/unet_phantom.py')
ARMS = ('baseline', 'sum', 'sequential', 'concatenated')
KERNELS = ('usual', 'deterministic')
WARM_UP = 2  # steps


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', nargs='?', default=CONFIG, help='a MedContext config (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, help="crops per step (default: the config's)")
    parser.add_argument('--steps', type=int, default=8, help='steps timed after two of warm-up (default: %(default)s)')
    parser.add_argument('--amp', choices=('float16', 'bfloat16'), help='autocast')
    parser.add_argument('--repeats', type=int, default=2, help='new processes for every arm (default: %(default)s)')
    add_config_options(parser)
    parser.add_argument(
        '--deterministic', action='store_true', help='time usual and deterministic kernels instead of the forms'
    )
    parser.add_argument('--arm', choices=ARMS + KERNELS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Run all arms, or be one."""
    args = parse_args()
    if args.arm is not None:
        serve(args)
        return
    arms = KERNELS if args.deterministic else ARMS
    runs = [run_in_turns(arms, args.steps) for _ in range(args.repeats)]
    show({arm: [answer for run in runs for answer in run[arm]] for arm in arms}, args)


def run_in_turns(arms: Sequence[str], steps: int) -> dict[str, list[dict]]:
    """One process per arm; each takes a step while the others wait. The answers to the steps that count, by arm."""
    environment = dict(os.environ, OMP_WAIT_POLICY='PASSIVE')  # those that wait must leave the processor alone
    processes = {
        arm: subprocess.Popen(
            [sys.executable, __file__, '--arm', arm, *sys.argv[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for arm in arms
    }
    answers: dict[str, list[dict]] = {arm: [] for arm in arms}
    try:
        for _ in range(WARM_UP + steps):
            for arm, process in processes.items():
                answers[arm].append(ask(arm, process))
    finally:
        for process in processes.values():
            process.communicate()  # the end of its input ends it
    return {arm: given[WARM_UP:] for arm, given in answers.items()}


def ask(arm: str, process: subprocess.Popen) -> dict:
    """Let a process take a step and read its answer, the one line that is JSON."""
    assert process.stdin is not None, 'a pipe'
    assert process.stdout is not None, 'a pipe'
    with contextlib.suppress(BrokenPipeError):  # then it does not answer either
        process.stdin.write('step\n')
        process.stdin.flush()
    for line in process.stdout:
        if line.startswith('{'):
            return json.loads(line)
    raise ChildProcessError(f'the process of arm {arm!r} ended with code {process.wait()}; its own words are above')


def serve(args: argparse.Namespace) -> None:
    """Be one arm: a step for every line of input, answered with seconds, MB and the device's name."""
    if args.arm == 'deterministic':
        ask_for_deterministic_kernels()
    elif args.arm == 'usual':
        torch.backends.cudnn.benchmark = True  # as in configs/_base_/default_runtime.py
    register_all_modules()
    config = load_config(args.config, args.cfg_options, safe=args.safe)
    config.optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4))
    if args.amp:
        use_amp(config, args.amp)
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    model, batch = build(config, args, device)
    optim_wrapper = build_optim_wrapper(model, config.optim_wrapper)
    name = torch.cuda.get_device_name() if device.type == 'cuda' else 'CPU'
    held = peak_memory(device, anew=True)
    for _ in sys.stdin:
        seconds = timed_step(model, batch, optim_wrapper, device)
        print(json.dumps(dict(seconds=seconds, megabytes=peak_memory(device) - held, device=name)), flush=True)


def timed_step(model: VolumeSegmentor, batch: dict, optim_wrapper: OptimWrapper, device: torch.device) -> float:
    """Seconds of one step, the teacher's included."""
    synchronize(device)
    started = time.perf_counter()
    model.train_step(batch, optim_wrapper)
    model.update_teacher(0.996)
    synchronize(device)
    return time.perf_counter() - started


def build(config: Config, args: argparse.Namespace, device: torch.device) -> tuple[VolumeSegmentor, dict]:
    """The model of one arm and a batch of noise in the config's crop size."""
    model_config = config.model.copy()
    if args.arm == 'baseline':
        for key in ('teacher', 'auxiliary'):
            model_config.pop(key, None)
    elif args.arm in ARMS:
        model_config['passes'] = args.arm
    torch.manual_seed(0)
    model = MODELS.build(model_config).to(device).train()
    model.prime_teacher()
    size = tuple(config.model.inferer.roi_size)
    count = args.batch_size or config.train_dataloader.batch_size
    channels = config.model.network.backbone.in_channels
    classes = config.model.network.decode_head.num_classes
    samples = []
    for _ in range(count):
        sample = VolumeDataSample()
        sample.gt_sem_seg = VolumeData(data=torch.randint(0, classes, (1, *size), device=device))
        samples.append(sample)
    return model, dict(inputs=list(torch.randn(count, channels, *size, device=device)), data_samples=samples)


def peak_memory(device: torch.device, *, anew: bool = False) -> float:
    """Most MB held so far, by the device's allocator or by the process; ``anew`` forgets what was before."""
    if device.type == 'cuda':
        if anew:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated() / 2**20
    if anew:
        process_memory.forget_peak()
    return process_memory.peak_memory() / 2**20


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == 'cuda':
        torch.cuda.synchronize()


def show(answers: dict[str, list[dict]], args: argparse.Namespace) -> None:
    """The table and the JSON line."""
    device = next(iter(answers.values()))[0]['device']
    table = Table(title=f'{args.config} on {device}')
    for column in ('step', 'ms', 'peak MB', 'time ratio', 'memory ratio'):
        table.add_column(column, justify='left' if column == 'step' else 'right')
    summary: dict[str, object] = dict(config=args.config, device=device)
    base: dict[str, float] = {}
    for arm, given in answers.items():
        figures = dict(
            seconds=statistics.median(answer['seconds'] for answer in given),
            megabytes=max(answer['megabytes'] for answer in given),
        )
        base = base or figures  # the first arm
        ratios = {key: figures[key] / base[key] for key in figures}
        milliseconds = 1000 * figures['seconds']
        row = (milliseconds, figures['megabytes'], ratios['seconds'], ratios['megabytes'])
        table.add_row(arm, *(f'{value:.{digits}f}' for value, digits in zip(row, (0, 0, 2, 2), strict=True)))
        names = dict(ms=1, peak_mb=1, time_ratio=3, memory_ratio=3)
        summary[arm] = {name: round(value, digits) for (name, digits), value in zip(names.items(), row, strict=True)}
    Console().print(table)
    print(json.dumps(summary))


if __name__ == '__main__':
    run_tool(main)

"""Time and peak memory of a MedContext step over a baseline step, same network, same batch, same process settings.

    python tools/benchmark/step.py
    python tools/benchmark/step.py configs/medcontext/swinunetr_btcv.py --batch-size 2 --steps 10

Each arm runs in a process of its own: peak memory is a process's, and one arm must not find the other's caches. The
baseline is the config without teacher and auxiliary heads. Ends with one JSON line: `sum.time_ratio`,
`sum.memory_ratio` (peak over peak, what the process held before the first step taken off both).
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from mmengine.config import Config
from rich.console import Console
from rich.table import Table

from medctx3d.engine.launch import load_config
from medctx3d.registry import MODELS, register_all_modules
from medctx3d.structures import VolumeData, VolumeDataSample
from medctx3d.utils.command_line import run_tool

CONFIG = str(Path(__file__).resolve().parents[2] / 'configs/medcontext/unet_phantom.py')
ARMS = ('baseline', 'sum')


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', nargs='?', default=CONFIG, help='a MedContext config (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, help="crops per step (default: the config's)")
    parser.add_argument('--steps', type=int, default=8, help='steps timed after two of warm-up (default: %(default)s)')
    parser.add_argument('--amp', choices=('float16', 'bfloat16'), help='autocast')
    parser.add_argument(
        '--repeats', type=int, default=2, help='processes per arm, taken in turns (default: %(default)s)'
    )
    parser.add_argument('--arm', choices=ARMS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Run the arms in turns, or one arm."""
    args = parse_args()
    if args.arm is not None:
        print(json.dumps(run_arm(args)))
        return
    results: dict[str, list[dict]] = {arm: [] for arm in ARMS}
    for _ in range(args.repeats):
        for arm in ARMS:
            command = [sys.executable, __file__, *sys.argv[1:], '--arm', arm]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            results[arm].append(json.loads(output.splitlines()[-1]))
    show(results, args)


def run_arm(args: argparse.Namespace) -> dict[str, float | str]:
    """Seconds per step (median) and peak memory in MB of one arm."""
    register_all_modules()
    config = load_config(args.config)
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    model, inputs, samples = build(config, args, device)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-4)
    before = memory(device)
    seconds = []
    for _ in range(args.steps + 2):
        synchronize(device)
        started = time.perf_counter()
        with torch.autocast(device.type, getattr(torch, args.amp or 'bfloat16'), enabled=args.amp is not None):
            terms = model(inputs, samples, mode='loss')
        total, _ = model.parse_losses(terms)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        model.update_teacher(0.996)
        synchronize(device)
        seconds.append(time.perf_counter() - started)
    name = torch.cuda.get_device_name() if device.type == 'cuda' else 'CPU'
    return dict(seconds=statistics.median(seconds[2:]), megabytes=memory(device) - before, device=name)


def build(config: Config, args: argparse.Namespace, device: torch.device):
    """The model of one arm and a batch of noise in the config's crop size."""
    model_config = config.model.copy()
    if args.arm == 'baseline':
        for key in ('teacher', 'auxiliary'):
            model_config.pop(key, None)
    torch.manual_seed(0)
    model = MODELS.build(model_config).to(device).train()
    model.prime_teacher()
    size = tuple(config.model.inferer.roi_size)
    count = args.batch_size or config.train_dataloader.batch_size
    channels = config.model.network.backbone.in_channels
    inputs = torch.randn(count, channels, *size, device=device)
    samples = []
    for _ in range(count):
        sample = VolumeDataSample()
        classes = config.model.network.decode_head.num_classes
        sample.gt_sem_seg = VolumeData(data=torch.randint(0, classes, (1, *size), device=device))
        samples.append(sample)
    return model, inputs, samples


def memory(device: torch.device) -> float:
    """Peak so far in MB: of the device's allocator, or of the process."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == 'cuda':
        torch.cuda.synchronize()


def show(results: dict[str, list[dict]], args: argparse.Namespace) -> None:
    """The table and the JSON line; the fastest repeat of each arm counts, since noise only ever adds."""
    best = {
        arm: dict(
            seconds=min(run['seconds'] for run in runs), megabytes=statistics.median(run['megabytes'] for run in runs)
        )
        for arm, runs in results.items()
    }
    table = Table(title=f'{args.config} on {results["baseline"][0]["device"]}')
    for column in ('step', 'ms', 'peak MB', 'time ratio', 'memory ratio'):
        table.add_column(column, justify='left' if column == 'step' else 'right')
    summary: dict[str, object] = dict(config=args.config, device=results['baseline'][0]['device'])
    base = best['baseline']
    for arm, figures in best.items():
        ratios = {key: figures[key] / base[key] for key in figures}
        table.add_row(
            arm,
            f'{1000 * figures["seconds"]:.0f}',
            f'{figures["megabytes"]:.0f}',
            f'{ratios["seconds"]:.2f}',
            f'{ratios["megabytes"]:.2f}',
        )
        summary[arm] = dict(
            ms=round(1000 * figures['seconds'], 1),
            peak_mb=round(figures['megabytes'], 1),
            time_ratio=round(ratios['seconds'], 3),
            memory_ratio=round(ratios['megabytes'], 3),
        )
    Console().print(table)
    print(json.dumps(summary))


if __name__ == '__main__':
    run_tool(main)

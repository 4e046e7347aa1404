"""Time and peak memory of predicting a whole volume, beside MONAI's sliding_window_inference.

    python tools/benchmark/inference.py
    python tools/benchmark/inference.py configs/unetr/unetr_btcv.py --shape 320 320 160 --overlap 0.5

Both get the same volume, network, windows, overlap and weights, and end with the class of every voxel. Each lives in
a process of its own, because peak memory is a process's, and the two take turns. What the process held before, program
and network, is taken off its peak. On a CPU, seconds are those that the process was computing, so that other work on
the machine does not count; on an accelerator they are those of the clock.

A third process goes from a .nii.gz file to a .nii.gz file. The last line is JSON: `time_ratio` and `memory_ratio`
(streamed over MONAI), `end_to_end_over_model` (reading to writing over the summed calls of the network), `model_share`
and `frame_share` of the streamed prediction, and what they are made of. `labels` is a checksum of the classes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.inferers import sliding_window_inference
from rich.console import Console
from rich.table import Table
from torch import Tensor

from medctx3d.apis import init_model, prepare_volume, save_segmentation
from medctx3d.apis.segment import predict_prepared
from medctx3d.engine.launch import load_config
from medctx3d.registry import register_all_modules
from medctx3d.utils.command_line import add_config_options, run_tool
from medctx3d.utils.process_memory import forget_peak, held_memory, peak_memory

CONFIG = str(Path(__file__).resolve().parents[2] / 'configs/medcontext/unet_phantom.py')
ARMS = ('monai', 'streamed', 'files')


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', nargs='?', default=CONFIG, help='config of the network (default: %(default)s)')
    parser.add_argument(
        '--shape', type=int, nargs=3, default=(512, 512, 128), metavar=('X', 'Y', 'Z'), help='voxels of the volume'
    )
    parser.add_argument('--classes', type=int, default=14, help='default: %(default)s')
    parser.add_argument('--overlap', type=float, default=0.25, help='of the windows (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=1, help='windows at once (default: %(default)s)')
    parser.add_argument('--repeats', type=int, default=2, help='turns of every arm (default: %(default)s)')
    add_config_options(parser)
    parser.add_argument('--arm', choices=ARMS, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Run all arms in turns, or be one."""
    args = parse_args()
    if args.arm is not None:
        print(json.dumps(be(args)), flush=True)
        return
    answers: dict[str, list[dict]] = {arm: [] for arm in ARMS}
    for _ in range(args.repeats):
        for arm in ARMS:
            answers[arm].append(ask(arm))
    show(answers, args)


def ask(arm: str) -> dict:
    """One process that predicts once; its last line is its answer."""
    command = [sys.executable, __file__, '--arm', arm, *sys.argv[1:]]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


class Watch:
    """Counts the seconds and calls of a function on a device."""

    def __init__(self, answer: Callable[[Tensor], Tensor], device: torch.device) -> None:
        self.answer = answer
        self.device = device
        self.seconds, self.calls = 0.0, 0

    def __call__(self, windows: Tensor) -> Tensor:
        """Ask, and count."""
        started = now(self.device)
        scores = self.answer(windows)
        self.seconds += now(self.device) - started
        self.calls += 1
        return scores


def now(device: torch.device) -> float:
    """Seconds of the clock on an accelerator, of the process on a CPU."""
    if device.type != 'cuda':
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def be(args: argparse.Namespace) -> dict:
    """Predict once, after a first window that nobody counts."""
    register_all_modules()
    config = load_config(args.config, {'num_classes': args.classes, **(args.cfg_options or {})}, safe=args.safe)
    torch.manual_seed(0)
    model: Any = init_model(config, cfg_options={'model.inferer.sw_batch_size': args.batch_size})
    model.inferer.overlap = (args.overlap,) * 3
    device = next(model.parameters()).device
    watch = Watch(model.scorer, device)
    model.scorer = watch
    window = model.inferer.roi_size
    with torch.no_grad():
        watch(torch.zeros(args.batch_size, 1, *window, device=device))
    watch.seconds, watch.calls = 0.0, 0
    if args.arm == 'files':
        return from_file_to_file(model, watch, args)
    volume = torch.randn(1, 1, *args.shape, device=device)
    held = memory(device, anew=True)
    started = now(device)
    with torch.no_grad():
        if args.arm == 'monai':
            scores: Any = sliding_window_inference(
                volume, window, args.batch_size, watch, args.overlap, mode=model.inferer.mode
            )
            labels = scores.argmax(1)[0]
        else:
            labels = model.inferer.segment(volume[0], watch).labels
    seconds = now(device) - started
    megabytes = (memory(device) - held) / 2**20
    total = int(labels.long().sum())
    return dict(seconds=seconds, model=watch.seconds, calls=watch.calls, megabytes=megabytes, labels=total)


def memory(device: torch.device, *, anew: bool = False) -> int:
    """Peak bytes on the device or of the process; ``anew`` forgets the peak and gives what is held."""
    if device.type == 'cuda':
        if anew:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated()
    if anew:
        forget_peak()
        return held_memory()
    return peak_memory()


def from_file_to_file(model: Any, watch: Watch, args: argparse.Namespace) -> dict:
    """Read, segment and write; the parts in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / 'scan.nii.gz'
        write_scan(image, tuple(args.shape), model.cfg.get('spacing') or (1.0, 1.0, 1.0))
        marks = [now(watch.device)]
        packed = prepare_volume(model, image)
        marks.append(now(watch.device))
        sample = predict_prepared(model, packed)
        marks.append(now(watch.device))
        save_segmentation(sample, Path(folder) / 'labels.nii.gz')
        marks.append(now(watch.device))
    reading, predicting, writing = (after - before for before, after in itertools.pairwise(marks))
    return dict(reading=reading, predicting=predicting, writing=writing, model=watch.seconds)


def write_scan(path: Path, shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    """Blocks of tissue with noise, in HU, as int16: it compresses about as well as a CT."""
    generator = np.random.default_rng(0)
    blocks = generator.integers(-200, 200, [-(-size // 32) for size in shape], dtype=np.int16)
    voxels = np.asfortranarray(np.kron(blocks, np.ones((32, 32, 32), np.int16))[tuple(map(slice, shape))])
    voxels += generator.integers(-16, 16, shape, dtype=np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([*spacing, 1.0])), path)


def show(answers: dict[str, list[dict]], args: argparse.Namespace) -> None:
    """The table and the JSON line."""
    median = {
        arm: {key: statistics.median(answer[key] for answer in given) for key in given[0]}
        for arm, given in answers.items()
    }
    plain, streamed, files = (median[arm] for arm in ARMS)
    table = Table(title=f'{"x".join(map(str, args.shape))} voxels, {args.classes} classes, overlap {args.overlap}')
    for column in ('arm', 'seconds', 'of them network', 'peak MB'):
        table.add_column(column, justify='left' if column == 'arm' else 'right')
    for arm in ('monai', 'streamed'):
        row = (median[arm][key] for key in ('seconds', 'model', 'megabytes'))
        table.add_row(arm, *(f'{value:.1f}' for value in row))
    whole = files['reading'] + files['predicting'] + files['writing']
    table.add_row('file to file', f'{whole:.1f}', f'{files["model"]:.1f}', '')
    Console().print(table)
    ratios = dict(
        time_ratio=streamed['seconds'] / plain['seconds'],
        memory_ratio=streamed['megabytes'] / plain['megabytes'],
        end_to_end_over_model=whole / files['model'],
        model_share=streamed['model'] / streamed['seconds'],
        frame_share=1 - streamed['model'] / streamed['seconds'],
        monai_frame_share=1 - plain['model'] / plain['seconds'],
    )
    told = {key: round(value, 3) for key, value in ratios.items()}
    parts = {arm: {key: round(value, 2) for key, value in found.items()} for arm, found in median.items()}
    print(json.dumps(dict(told, shape=list(args.shape), classes=args.classes, overlap=args.overlap, **parts)))


if __name__ == '__main__':
    run_tool(main)

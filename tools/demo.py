"""The whole way in a few minutes on a CPU: generate scans, train MedContext, test, predict, report.

    make demo
    python tools/demo.py --work-dir work_dirs/demo --iterations 700

Every step is one of the project's own commands; the demo prints each before it runs it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from medctx3d.utils.command_line import run_tool

ROOT = Path(__file__).resolve().parent.parent
CONFIG = 'configs/medcontext/unet_phantom.py'
ITERATIONS = 700
# As a person in the checkout types it; outside an environment there, whatever runs this.
PYTHON = os.path.relpath(sys.executable, ROOT) if Path(sys.executable).is_relative_to(ROOT) else sys.executable


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--work-dir', default='work_dirs/demo', help='where everything lands (default: %(default)s)')
    parser.add_argument(
        '--iterations', type=int, default=ITERATIONS, help='training steps; a tenth shows what too short looks like'
    )
    return parser.parse_args()


def main() -> None:
    """Run the steps and say where their results lie."""
    args = parse_args()
    console = Console()
    started = time.monotonic()
    work_dir = Path(args.work_dir).resolve()
    os.chdir(ROOT)
    if work_dir.is_relative_to(ROOT):
        work_dir = work_dir.relative_to(ROOT)
    work_dir.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ, PHANTOM_ROOT=str(work_dir / 'data'))
    environment.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    store = [f'{loader}_dataloader.dataset.store.root={work_dir / "prepared"}' for loader in ('train', 'val', 'test')]
    length = [f'train_cfg.max_iters={args.iterations}', f'train_cfg.val_interval={(args.iterations + 1) // 2}']
    checkpoint = work_dir / f'iter_{args.iterations}.pth'
    steps = [
        ('generate scans', ['tools/dataset/make_phantom.py', str(work_dir / 'data'), '--workers', '2']),
        ('train', ['tools/train.py', CONFIG, '--work-dir', str(work_dir), '--cfg-options', *store, *length]),
        (
            'test on held-out scans',
            [
                'tools/test.py',
                CONFIG,
                str(checkpoint),
                '--work-dir',
                str(work_dir),
                '--save-predictions',
                '--overlay',
                '--cfg-options',
                *store,
            ],
        ),
        ('report', ['tools/report.py', str(work_dir)]),
    ]
    for number, (title, command) in enumerate(steps, 1):
        console.rule(f'{number}/{len(steps)}  {title}', align='left')
        shown = [part for part in command if 'store.root' not in part]
        console.print(f'{PYTHON} ' + ' '.join(shown).removesuffix(' --cfg-options'), style='dim', soft_wrap=True)
        finished = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=False)
        if finished.returncode:
            sys.exit(f'the demo stopped at step {number} ({title}); the message above says why')
    report(console, work_dir, checkpoint, time.monotonic() - started)


def report(console: Console, work_dir: Path, checkpoint: Path, seconds: float) -> None:
    """Where everything lies, and what to type next."""
    mean = json.loads((work_dir / 'results.json').read_text(encoding='utf-8'))['mean']
    case = json.loads((work_dir / 'data' / 'dataset.json').read_text(encoding='utf-8'))['test'][0]['image']
    console.rule('done', align='left')
    lines = [
        f'Held-out mean Dice {mean["dice"]:.3f}, HD95 {mean["hd95"]:.1f} mm, NSD {mean["nsd"]:.3f}; '
        f'{seconds:.0f} s in all.',
        '',
        f'  report       {work_dir}/report.html, to open in a browser',
        f'  figures      {work_dir}/results.json, {work_dir}/per_case.csv',
        f'  predictions  {work_dir}/predictions/*.nii.gz, to open over {work_dir}/data/imagesTr/*',
        f'  pictures     {work_dir}/overlays/*.png',
        f'  weights      {checkpoint}',
        f'  log          {work_dir}/<time>/<time>.log',
        '',
        'What to type next:',
        f'  {PYTHON} tools/infer.py {CONFIG} {checkpoint} {work_dir}/data/{case} --out {work_dir}/mine --overlay',
        f'  PHANTOM_ROOT={work_dir}/data {PYTHON} tools/browse_dataset.py {CONFIG} --out {work_dir}/browse',
        '  less docs/how_to/your_own_data.md      # train on your own scans',
    ]
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)


if __name__ == '__main__':
    run_tool(main)

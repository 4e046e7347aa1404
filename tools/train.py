"""Train a model.

    python tools/train.py configs/medcontext/swinunetr_btcv.py
    python tools/train.py CONFIG --seed 1 --work-dir work_dirs/seed1
    python tools/train.py CONFIG --resume                      (goes on from the newest checkpoint of the work dir)
    python tools/train.py CONFIG --cfg-options train_cfg.max_iters=2000 optim_wrapper.optimizer.lr=1e-3
    bash tools/dist_train.sh CONFIG 8                          (eight GPUs of one node)
    RESTARTS=3 bash tools/dist_train.sh CONFIG 8               (started again when a process dies, from its checkpoint)

Every file of every split is checked, and the volumes are prepared once, before the first iteration. Checkpoints, logs
and the full config land in the work dir. SIGTERM, which clusters send before they take a machine back, ends the run
with a checkpoint and exit code 0.
"""

from __future__ import annotations

import argparse
import os
import subprocess

import torch
from mmengine.dist import is_main_process

from medctx3d.apis.config_consistency import require_keys
from medctx3d.apis.start_checkpoint import is_restarted
from medctx3d.apis.training import set_randomness, train_config
from medctx3d.engine.completion import use_amp
from medctx3d.engine.deterministic import ask_for_deterministic_kernels
from medctx3d.engine.launch import LAUNCHERS, default_work_dir, open_config
from medctx3d.engine.stop_request import Preempted
from medctx3d.utils.command_line import add_config_options, run_tool


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file, such as configs/medcontext/swinunetr_btcv.py')
    parser.add_argument('--work-dir', help='where results go (default: work_dirs/<folder>/<config name>)')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='continue a run: from the newest checkpoint of the work dir, or from the one named',
    )
    parser.add_argument(
        '--requeue',
        action='store_true',
        help='with --resume in a Slurm job: when a signal stops the run, put the job back into the queue',
    )
    parser.add_argument(
        '--amp',
        nargs='?',
        const='auto',
        choices=('auto', 'float16', 'bfloat16'),
        help='mixed precision; auto is float16 on a GPU and bfloat16 on the CPU',
    )
    parser.add_argument(
        '--seed', type=int, help='seed of weights, crops, augmentation and masks (default: the config)'
    )
    parser.add_argument(
        '--deterministic',
        action='store_true',
        help='deterministic kernels where torch has them, slower; a warning names each operation that has none',
    )
    parser.add_argument('--verbose', action='store_true', help="mmengine's full log on the console too")
    parser.add_argument(
        '--launcher', choices=LAUNCHERS, default='none', help='set by dist_train.sh and slurm_train.sh'
    )
    add_config_options(parser)
    return parser.parse_args()


def main() -> None:
    """Read the command line, check the config, train."""
    args = parse_args()
    if args.requeue:
        check_requeue(args)
    if args.deterministic:
        ask_for_deterministic_kernels()
    config = open_config(args.config, args.cfg_options, safe=args.safe)
    require_keys(config, 'train')
    config.work_dir = default_work_dir(config, args.config, args.work_dir)
    set_randomness(config, args.seed, deterministic=args.deterministic)
    if args.resume is None and is_restarted(config.work_dir):
        args.resume = 'auto'
    if args.resume is not None:
        config.resume = True
        config.load_from = None if args.resume == 'auto' else args.resume
    if args.amp is not None:
        gpu = torch.cuda.is_available()
        use_amp(config, ('float16' if gpu else 'bfloat16') if args.amp == 'auto' else args.amp)
    how = 'done'
    try:
        train_config(config, launcher=args.launcher, deterministic=args.deterministic, verbose=args.verbose)
    except Preempted as stop:
        how = str(stop)
    speaks = is_main_process()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if speaks:
        print(f'{how}: checkpoints and logs lie in {os.path.abspath(config.work_dir)}')
        if args.requeue and how != 'done':
            subprocess.run(['scontrol', 'requeue', os.environ['SLURM_JOB_ID']], check=True)


def check_requeue(args: argparse.Namespace) -> None:
    """Refuse ``--requeue`` where it cannot help.

    Raises:
        ValueError: This is no Slurm job, or the job that comes back would start anew.
    """
    if 'SLURM_JOB_ID' not in os.environ:
        raise ValueError('--requeue needs a Slurm job (SLURM_JOB_ID is not set): leave it out here')
    if args.resume is None:
        raise ValueError('--requeue needs --resume: the job that comes back would start at iteration 0')


if __name__ == '__main__':
    run_tool(main)

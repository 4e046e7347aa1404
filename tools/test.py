"""Test a trained model: a table, per-case figures and, if asked, the predicted volumes.

    python tools/test.py CONFIG CHECKPOINT
    python tools/test.py CONFIG CHECKPOINT --save-predictions --out work_dirs/run/test

Distances are in mm on the grid of the label files; the rules for absent organs stand beside the table.
per_case.csv and results.json land in the output folder.
"""

from __future__ import annotations

import argparse
import os

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process

from medctx3d.apis.config_consistency import check_consistency, require_keys
from medctx3d.apis.failures import explained
from medctx3d.apis.splits import check_config_splits, prepare_splits, require_labels
from medctx3d.engine.checkpoint import fitting_weights, load_weights
from medctx3d.engine.launch import LAUNCHERS, build_runner, default_work_dir, open_config, prepare_launch
from medctx3d.utils.atomic import require_writable
from medctx3d.utils.command_line import add_config_options, run_tool
from medctx3d.utils.config_check import ConfigError, check_config


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file that the model was trained with')
    parser.add_argument('checkpoint', help='.pth file, such as work_dirs/<run>/iter_30000.pth')
    parser.add_argument('--work-dir', help='where logs go (default: work_dirs/<folder>/<config name>)')
    parser.add_argument('--out', help='where results.json and per_case.csv go (default: the work dir)')
    parser.add_argument(
        '--save-predictions', action='store_true', help='write each predicted volume as NIfTI into OUT'
    )
    parser.add_argument('--overlay', action='store_true', help='draw each tested volume into OUT/overlays')
    parser.add_argument('--verbose', action='store_true', help="mmengine's full log on the console too")
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='set by dist_test.sh')
    add_config_options(parser)
    return parser.parse_args()


def main() -> None:
    """Read the command line, load the weights, test."""
    args = parse_args()
    config = open_config(args.config, args.cfg_options, safe=args.safe)
    config.work_dir = default_work_dir(config, args.config, args.work_dir)
    require_keys(config, 'test')
    out = args.out or config.work_dir
    set_output(config, out, save_predictions=args.save_predictions, overlay=args.overlay)
    check_config(config)
    model = check_consistency(config, ['test'])
    optional = ('auxiliary.',) if model.predict_with == 'teacher' else ('auxiliary.', 'teacher.')
    fitting_weights(model, args.checkpoint, optional=optional, map_location='meta')
    datasets = check_config_splits(config, ['test'])
    require_labels(datasets)
    require_writable(out, '--out')
    require_writable(config.work_dir, '--work-dir')
    prepare_launch(config, args.launcher)
    prepare_splits(datasets)
    drop_training(config)
    runner = build_runner(config, verbose=args.verbose)
    model = runner.model.module if hasattr(runner.model, 'module') else runner.model
    load_weights(model, args.checkpoint, optional=optional)
    with explained(config, datasets):
        runner.test()
    speaks = is_main_process()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if speaks:
        print(f'done: results.json and per_case.csv lie in {os.path.abspath(out)}')


def set_output(config: Config, out: str, *, save_predictions: bool, overlay: bool) -> None:
    """Tell the metric and the pictures where to go."""
    if not isinstance(config.test_evaluator, dict):
        raise ConfigError(
            f'test_evaluator must be one dict(type=...) for tools/test.py, got {type(config.test_evaluator).__name__}'
        )
    config.test_evaluator['out_dir'] = out
    if save_predictions:
        config.test_evaluator['save_predictions'] = True
    if overlay:
        hook = dict(type='VolumeVisualizationHook', out_dir=os.path.join(out, 'overlays'))
        config.custom_hooks = [*(config.get('custom_hooks') or []), hook]


def drop_training(config: Config) -> None:
    """A test needs no training data, and no weights but those of the checkpoint."""
    for key in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'val_dataloader', 'val_cfg'):
        config[key] = None
    config.val_evaluator = None
    config.load_from = None
    config.resume = False


if __name__ == '__main__':
    run_tool(main)

"""One training, from a merged config to the end of its last iteration."""

from __future__ import annotations

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from medctx3d.apis.config_consistency import check_consistency, require_keys
from medctx3d.apis.failures import explained
from medctx3d.apis.pretrained_start import settle_pretrained
from medctx3d.apis.splits import check_config_splits, prepare_splits
from medctx3d.apis.start_checkpoint import agree_on_start, settle_start
from medctx3d.datasets import VolumeDataset
from medctx3d.engine.completion import close_schedules
from medctx3d.engine.deterministic import ask_for_deterministic_kernels
from medctx3d.engine.launch import build_runner, prepare_launch
from medctx3d.registry import DATASETS
from medctx3d.utils.atomic import require_writable
from medctx3d.utils.config_check import check_config


def train_config(
    config: Config, *, launcher: str = 'none', deterministic: bool = False, verbose: bool = False
) -> Runner:
    """Check a config and its files, prepare the volumes, and train.

    Nothing is trained unless every part of the config fits the others and every file of every split can be used.

    Args:
        config: With ``work_dir`` and :func:`set_randomness` done; completed in place.
        launcher: One of :data:`~medctx3d.engine.launch.LAUNCHERS`.
        deterministic: Use deterministic kernels where torch has them.
        verbose: Leave mmengine's full log on the console.

    Returns:
        The Runner after training, its model holding the last weights.

    Raises:
        ValueError: Something in the config or a file breaks a rule.
        OSError: A file is missing, the work dir cannot be written to, or the machine failed meanwhile.
    """
    require_keys(config, 'train')
    close_schedules(config)
    check_config(config)
    model = check_consistency(config)
    start = settle_start(config, model)
    datasets = check_config_splits(config)
    require_writable(config.work_dir, '--work-dir')
    prepare_launch(config, launcher)
    agree_on_start(config)
    if is_main_process():
        lines = [start] if config.get('resume') else [start, *settle_pretrained(config, model)]
        for line in filter(None, lines):
            print(line)
    prepare_splits(datasets)
    runner = build_runner(config, verbose=verbose)
    if deterministic:
        settings = ask_for_deterministic_kernels()
        runner.logger.info(settings)
        if is_main_process():
            print(settings)
    with explained(config, datasets):
        runner.train()
    return runner


def set_randomness(config: Config, seed: int | None, *, deterministic: bool = False) -> None:
    """One seed for weights, masks (other on every rank), and the draws of the training set.

    Args:
        config: Changed in place.
        seed: None leaves the config's own.
        deterministic: Ask mmengine for deterministic kernels.
    """
    randomness = dict(config.get('randomness') or {})
    randomness.setdefault('seed', 0)
    randomness.setdefault('diff_rank_seed', True)
    if seed is not None:
        randomness['seed'] = seed
    if deterministic:
        randomness['deterministic'] = True
    config.randomness = randomness
    dataset = config.train_dataloader.dataset
    component = DATASETS.get(dataset.type) if isinstance(dataset.get('type'), str) else None
    if component is not None and issubclass(component, VolumeDataset):  # a wrapper's members carry their own
        dataset.setdefault('seed', randomness['seed'])
        if seed is not None:
            dataset.seed = seed

"""One job of a study: train on its cases, test, write the figures.

    python -m medctx3d.studies.job FOLDER        (a folder of a study that holds job.json)

The checkpoint of a job that was interrupted is resumed from.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from medctx3d.apis.training import set_randomness, train_config
from medctx3d.engine.checkpoint import load_weights
from medctx3d.engine.checkpoint_store import MANIFEST, POINTER
from medctx3d.registry import register_all_modules
from medctx3d.utils.atomic import atomic_path
from medctx3d.utils.command_line import run_tool
from medctx3d.utils.setup_env import setup_environment
from medctx3d.version import __version__

VALIDATIONS = 10  # of a training whose checkpoint is chosen by an inner split
_OF_TRAINING = ('crops_per_volume', 'seed', 'unlabelled_split')  # what a data set of whole volumes does not need


class Job(NamedTuple):
    """What one process of a study does.

    Attributes:
        arm: Name of the config.
        group: What jobs of different arms are compared within: ``shots-3``, or ``fold-0``.
        seed: Of the subset, and of the training.
        train: Ids of the cases trained on.
        inner: Ids of cases of the training split that a checkpoint is chosen by; empty for the last one.
        test: Ids of cases of the training split that are held out and scored; empty for the config's test split.
        unseen: Classes that none of the cases trained on holds.
        threads: Of torch.
        keep_checkpoints: Whether checkpoints stay after the test.
    """

    arm: str
    group: str
    seed: int
    train: tuple[str, ...]
    inner: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    threads: int = 1
    keep_checkpoints: bool = False

    def folder(self, work_dir: Path) -> Path:
        """Where all of the job lies."""
        return work_dir / 'jobs' / self.arm / self.group / f'seed-{self.seed}'

    def is_done(self, work_dir: Path) -> bool:
        """Whether it was finished."""
        return (self.folder(work_dir) / 'done.json').is_file()

    def __str__(self) -> str:
        return f'{self.arm} {self.group} seed-{self.seed}'


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON, whole or not at all."""
    with atomic_path(path) as draft:
        draft.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')


def read_job(folder: Path) -> Job:
    """The job that ``job.json`` in a folder describes."""
    content: Any = json.loads((folder / 'job.json').read_text(encoding='utf-8'))
    values: Any = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
    return Job(**values)


def kept_config(work_dir: Path, arm: str) -> Config:
    """The merged config of an arm, as the study keeps it.

    It is not formatted when it is written out again, which mmengine does six times per job, for seconds each.
    """
    file = str(work_dir / 'arms' / f'{arm}.py')
    content = Config.fromfile(file, lazy_import=False).to_dict()
    return Config(content, filename=file, format_python_code=False)


def job_config(job: Job, arm: Config, folder: Path) -> Config:
    """The config of one job.

    Args:
        job: What to do.
        arm: The config that all jobs of the arm share; changed in place.
        folder: Of the job.
    """
    config = arm
    config.work_dir = str(folder)
    whole = config.train_dataloader.dataset
    held = {key: value for key, value in whole.items() if key not in _OF_TRAINING}
    held.update(pipeline=config.test_dataloader.dataset.pipeline, test_mode=True)
    if job.test:
        config.test_dataloader.dataset = dict(held, cases=job.test)
    if job.inner:
        config.val_dataloader = dict(config.test_dataloader.to_dict(), dataset=dict(held, cases=job.inner))
        config.val_cfg = dict(type='ValLoop')
        config.val_evaluator = dict(type='VolumeMetric', grid='working', scores=('dice',), show_table=False)
        config.train_cfg.val_interval = max(config.train_cfg.max_iters // VALIDATIONS, 1)
        config.default_hooks.checkpoint.update(save_best='dice', rule='greater')
    whole.cases = job.train
    config.test_evaluator.update(out_dir=str(folder), save_predictions=False, show_table=False)
    set_randomness(config, job.seed)
    config.resume = True  # from what a killed process left, if there is any
    return config


def run_job(job: Job, work_dir: Path) -> None:
    """Train, test, write ``results.json``, ``per_case.csv`` and at last ``done.json`` into the job's folder.

    Raises:
        ValueError: See :func:`~medctx3d.apis.training.train_config`.
        OSError: A file is missing, or the disk is full.
    """
    started = time.monotonic()
    folder = job.folder(work_dir)
    config = job_config(job, kept_config(work_dir, job.arm), folder)
    runner = train_config(config)
    resumed = bool(config.resume)  # settled by now
    trained = time.monotonic()
    chosen = _load_chosen(runner, folder) if job.inner else f'iter_{runner.iter}.pth'
    runner.test()
    write_json(folder / 'done.json', _facts(runner, chosen, resumed=resumed, started=started, trained=trained))
    if not job.keep_checkpoints:
        for path in [*folder.glob('*.pth'), folder / POINTER, folder / MANIFEST]:
            path.unlink(missing_ok=True)


def _load_chosen(runner: Runner, folder: Path) -> str:
    found = sorted(folder.glob('best_*.pth'), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ValueError(
            f'{folder}: no volume of the inner split shows a class, so nothing can be chosen: --select last'
        )
    load_weights(runner.model, found[-1], optional=())
    return found[-1].name


def _facts(runner: Runner, chosen: str, *, resumed: bool, started: float, trained: float) -> dict[str, Any]:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    gpu = torch.cuda.is_available()
    return dict(
        iterations=runner.iter,
        checkpoint=chosen,
        resumed=resumed,
        train_seconds=round(trained - started, 1),
        test_seconds=round(time.monotonic() - trained, 1),
        cpu_seconds=round(own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime, 1),
        device=torch.cuda.get_device_name() if gpu else 'cpu',
        gpu_memory_mib=round(torch.cuda.max_memory_allocated() / 2**20) if gpu else None,
        torch=torch.__version__,
        medctx3d=__version__,
    )


def main() -> None:
    """Read the command line and run the job."""
    parser = argparse.ArgumentParser(prog='python -m medctx3d.studies.job', description=__doc__)
    parser.add_argument('folder', type=Path, help='WORK_DIR/jobs/ARM/GROUP/seed-N, with job.json')
    folder = parser.parse_args().folder
    job = read_job(folder)
    torch.set_num_threads(job.threads)
    setup_environment()
    register_all_modules()
    run_job(job, folder.parents[3])


if __name__ == '__main__':
    run_tool(main)

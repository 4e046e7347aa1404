"""SIGKILL at random moments: a whole checkpoint is left, and what is resumed from it does not diverge."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from comparison import differences, everything
from helpers_engine import run_config, train
from mmengine.config import Config

from medctx3d.apis.start_checkpoint import newest_whole
from medctx3d.engine.checkpoint_store import CheckpointStore

ITERATIONS = 8


class Tally(NamedTuple):
    """Of many trainings that were killed again and again until they reached their end."""

    kills: int = 0
    writing: int = 0  # a file was half written
    resumed: int = 0  # from a checkpoint, not from the beginning
    finished: int = 0


def forked(config: Config, *, killed_after: float | None = None) -> int:
    """Train in a child process, kill it after some seconds if asked, and give its wait status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            torch.set_num_threads(1)
            with open(os.devnull, 'w') as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
                train(config)
            status = 0
        finally:
            os._exit(status)
    if killed_after is not None:
        time.sleep(killed_after)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def kill_and_resume(root: Path, folder: Path, kills: int, seed: int) -> Tally:
    """Kill trainings at random moments; each goes on from its newest checkpoint until it ends or is killed again.

    After each kill the newest whole checkpoint is compared with the one of the same step of a training that nobody
    interrupted, so that a divergence shows at the kill that caused it.
    """

    def config(run: str, **more: object) -> Config:
        options = {'iterations': ITERATIONS, 'default_hooks.checkpoint.interval': 1, **more}
        return run_config(root, folder / run, experiment_name=f'{run}_{os.getpid()}', **options)

    started = time.monotonic()
    assert forked(config('whole', **{'default_hooks.checkpoint.max_keep_ckpts': -1})) == 0
    length = time.monotonic() - started
    whole = [everything(folder / f'whole/iter_{step}.pth') for step in range(1, ITERATIONS + 1)]
    chance, tally = random.Random(seed), Tally()
    while tally.kills < kills:
        run = f'run_{tally.finished}'
        newest, _ = newest_whole(CheckpointStore(folder / run))
        status = forked(
            config(run, resume=newest is not None, load_from=newest and str(newest)),
            killed_after=chance.uniform(0, length),
        )
        killed = os.WIFSIGNALED(status)
        assert killed or status == 0, f'after {tally}: the training failed, going on from {newest}'
        drafts = [*(folder / run).glob('.tmp-*')]
        newest, _ = newest_whole(CheckpointStore(folder / run))
        if newest is not None:
            step = int(newest.stem.removeprefix('iter_'))
            assert killed or step == ITERATIONS
            assert not differences(whole[step - 1], everything(newest)), f'after {tally}: {newest} diverged'
        tally = Tally(
            tally.kills + killed,
            tally.writing + (killed and bool(drafts)),
            tally.resumed + (killed and newest is not None),
            tally.finished + (not killed),
        )
    return tally


def test_killed_at_random_moments_no_training_diverges(nifti_dataset, tmp_path):
    assert kill_and_resume(nifti_dataset, tmp_path, kills=6, seed=0).kills == 6


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_five_hundred_kills(nifti_dataset, tmp_path):
    started = time.monotonic()
    tally = kill_and_resume(nifti_dataset, tmp_path, kills=500, seed=1)
    print(f'{tally}, 0 divergences, {time.monotonic() - started:.0f} s')
    assert tally.resumed > 200
    assert tally.writing > 10
    assert tally.finished > 10

"""Jobs side by side, with a stand-in for the training."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from rich.console import Console

from medctx3d.studies import schedule
from medctx3d.studies.job import Job
from medctx3d.studies.progress import StudyProgress, iteration_of
from medctx3d.utils.claims import claim, release

WORKER = """
import json, os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
with open(folder / 'starts', 'a') as stream:
    stream.write('x')
print('iteration 2/3', flush=True)
if folder.name == 'seed-7':
    sys.exit('the reason why')
if folder.name == 'seed-9':
    time.sleep(60)
(folder / 'threads').write_text(os.environ['OMP_NUM_THREADS'] + os.environ.get('CUDA_VISIBLE_DEVICES', ''))
(folder / 'results.json').write_text(json.dumps(dict(mean=dict(dice=0.5))))
(folder / 'done.json').write_text('{}')
"""


@pytest.fixture(autouse=True)
def stand_in(tmp_path, monkeypatch):
    (tmp_path / 'worker.py').write_text(WORKER)
    monkeypatch.setattr(schedule, 'JOB_COMMAND', (sys.executable, str(tmp_path / 'worker.py')))
    monkeypatch.setattr(schedule, 'POLL_SECONDS', 0.02)
    monkeypatch.setattr(schedule, 'visible_gpus', list)


def jobs(*seeds):
    return [Job('arm', 'shots-1', seed, train=('a',), threads=2) for seed in seeds]


def make(tmp_path, planned, workers=2):
    console = Console(file=open(tmp_path / 'told.txt', 'a'), width=200)  # noqa: SIM115 - read after the test
    progress = StudyProgress(planned, iterations={'arm': 3}, work_dir=tmp_path, console=console)
    return schedule.Schedule(planned, work_dir=tmp_path, workers=workers, progress=progress)


def told(tmp_path):
    return (tmp_path / 'told.txt').read_text()


def starts(tmp_path, job):
    file = job.folder(tmp_path) / 'starts'
    return len(file.read_text()) if file.is_file() else 0


def test_every_job_runs_once_and_a_second_invocation_runs_none(tmp_path):
    planned = jobs(0, 1, 2)
    assert make(tmp_path, planned).run() == []
    assert make(tmp_path, planned).run() == []
    assert [starts(tmp_path, job) for job in planned] == [1, 1, 1]
    assert '3/3  arm shots-1' in told(tmp_path)
    assert 'dice 0.5000' in told(tmp_path)
    assert (planned[0].folder(tmp_path) / 'threads').read_text() == '2'


def test_a_failing_job_is_told_with_its_reason_and_others_go_on(tmp_path):
    planned = jobs(7, 1)
    assert make(tmp_path, planned, workers=1).run() == planned[:1]
    assert planned[1].is_done(tmp_path)
    assert 'arm shots-1 seed-7 FAILED with status 1' in told(tmp_path)
    assert 'the reason why' in told(tmp_path)


def test_gpus_are_dealt_to_workers_in_turn(tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, 'visible_gpus', lambda: ['4', '6'])
    planned = jobs(0, 1, 2)
    make(tmp_path, planned, workers=3).run()
    found = sorted((job.folder(tmp_path) / 'threads').read_text() for job in planned)
    assert found == ['24', '24', '26']


def test_a_job_that_another_process_works_on_is_left_to_it(tmp_path):
    planned = jobs(0, 1)
    lock = claim(planned[0].folder(tmp_path) / 'claim.lock')
    assert lock is not None

    def finish() -> None:
        (planned[0].folder(tmp_path) / 'done.json').write_text('{}')
        release(lock)

    timer = threading.Timer(0.5, finish)
    timer.start()
    assert make(tmp_path, planned).run() == []
    timer.join()
    assert [starts(tmp_path, job) for job in planned] == [0, 1]
    assert 'in another process' in told(tmp_path)


def test_a_job_whose_process_died_elsewhere_is_taken_over(tmp_path):
    planned = jobs(0)
    lock = claim(planned[0].folder(tmp_path) / 'claim.lock')
    assert lock is not None
    threading.Timer(0.3, release, [lock]).start()
    assert make(tmp_path, planned).run() == []
    assert starts(tmp_path, planned[0]) == 1


def test_a_claim_is_held_on_by_the_process_that_inherited_it(tmp_path):
    lock = claim(tmp_path / 'claim.lock')
    assert lock is not None
    child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE, pass_fds=(lock,))
    release(lock)
    assert claim(tmp_path / 'claim.lock') is None
    child.communicate(b'\n')
    again = claim(tmp_path / 'claim.lock')
    assert again is not None
    fcntl.flock(again, fcntl.LOCK_UN)
    release(again)


def test_an_interrupt_ends_the_jobs(tmp_path):
    planned = jobs(9, 0)
    running = make(tmp_path, planned)
    threading.Timer(0.6, os.kill, [os.getpid(), signal.SIGTERM]).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        running.run()
    assert time.monotonic() - started < 10
    lock = claim(planned[0].folder(tmp_path) / 'claim.lock')  # nobody holds it: the process is gone
    assert lock is not None
    release(lock)
    assert not planned[0].is_done(tmp_path)


def test_progress_is_read_from_the_log_of_a_job(tmp_path):
    assert iteration_of(tmp_path) == 0
    (tmp_path / 'job.log').write_text(
        'x' * 5000 + '\nepoch 1  iteration 40/300  ETA 3 s\nepoch 2  iteration 80/300  ETA'
    )
    assert iteration_of(tmp_path) == 80

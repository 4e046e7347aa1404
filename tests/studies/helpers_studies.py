"""Studies small enough for a test."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import conftest

from medctx3d.studies.job import Job, read_job, run_job, write_json

ROOT = Path(__file__).parents[2]
CONFIG = """
_base_ = ['{root}/configs/medcontext/unet_phantom.py']
load = [
    dict(type='LoadVolume'),
    dict(type='monai.transforms.ScaleIntensityRanged', keys=['image'], a_min=0, a_max=300, b_min=0.0, b_max=1.0),
]
d = dict(
    data_root='{data}',
    store=dict(root='{data}/store', num_workers=0),
    metainfo=dict(_delete_=True, classes=('background', 'near', 'far')),
    load_pipeline=load,
)
crop = [dict(type='ForegroundCrop', size=(16, 16, 16)), dict(type='PackVolume')]
train_dataloader = dict(dataset=dict(pipeline=crop, **d))
val_dataloader = dict(dataset=d)
test_dataloader = dict(dataset=d)
model = dict(
    network=dict(backbone=dict(channels=(4, 8), strides=(1, 2)), decode_head=dict(num_classes=3)),
    inferer=dict(roi_size=(16, 16, 16)),
    auxiliary=dict(medcontext=dict(patch_size=(4, 4, 4))),
)
train_cfg = dict(max_iters=3, val_interval=2)
test_evaluator = dict(scores=('dice', 'hd95'))
"""
PLAIN = "model['teacher'] = None\nmodel['auxiliary'] = dict(_delete_=True)\ncustom_hooks = []\n"


def make_data(folder: Path) -> Path:
    """Four training volumes of three people (a pair and two single ones), one validation and two test volumes."""
    folder.mkdir(parents=True, exist_ok=True)
    conftest.nifti_dataset.__wrapped__(folder)
    content = json.loads((folder / 'dataset.json').read_text())
    for entry, subject in zip(content['training'], ('a', 'a', 'b', 'c'), strict=True):
        entry['subject'] = subject
    (folder / 'dataset.json').write_text(json.dumps(content))
    return folder


def write_config(file: Path, data: Path, extra: str = '') -> str:
    """A config file of three iterations; ``extra`` is appended as it is."""
    file.write_text(CONFIG.format(root=ROOT, data=data) + extra)
    return str(file)


class ForkedJob:
    """Stands in for ``subprocess.Popen`` of a job: a copy of this process, which has imported everything already."""

    def __init__(self, command: Sequence[str | Path], **options: object) -> None:
        self.process = multiprocessing.get_context('fork').Process(target=_work, args=(Path(command[-1]),))
        self.process.start()
        self.pid = self.process.pid

    def poll(self) -> int | None:
        return self.process.exitcode


def _work(folder: Path) -> None:
    with open(folder / 'job.log', 'a') as log, contextlib.redirect_stdout(log):
        run_job(read_job(folder), folder.parents[3])


def write_finished(
    work_dir: Path, job: Job, scores: dict[str, dict[str, dict[str, float | None]]], **facts: object
) -> None:
    """The files of a finished job: ``scores`` by case, class and metric."""
    folder = job.folder(work_dir)
    write_json(folder / 'job.json', job._asdict())
    cases = [dict(case=case, classes=classes) for case, classes in scores.items()]
    first = cases[0]['classes']
    write_json(folder / 'results.json', dict(mean=dict(dice=0.5), cases=cases, rules=dict(reported=list(first))))
    usual = dict(iterations=3, resumed=False, train_seconds=1.0, test_seconds=1.0, cpu_seconds=2.0, device='cpu')
    write_json(folder / 'done.json', {**usual, **facts})

"""What could be read from the features while they are being pretrained?"""

from __future__ import annotations

from itertools import islice
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor

from medctx3d.engine.left_alone import left_alone
from medctx3d.engine.unwrapped import unwrapped
from medctx3d.registry import DATASETS, HOOKS
from medctx3d.typing import ShowsUnchanged
from medctx3d.utils.probe import features_at, linear_probe, mean_recall, nearest_neighbours, sample_voxels


@HOOKS.register_module()
class ProbeHook(Hook):
    """Judge frozen features on labelled volumes, at the start and every ``interval`` iterations.

    From every volume of a labelled data set, voxels of each class are drawn, the same at every look, with the
    features of all levels at their place. Every second volume fits a linear classifier and serves nearest neighbours,
    the others judge: logged under ``train/probe/`` are the mean recalls ``linear`` and ``neighbours``, and ``chance``.
    The first look, before the first step, shows what features of untrained weights are worth; a pretraining that stays
    there has learnt nothing that helps to segment. Give it training volumes, never those of a test. Weights, buffers
    and random states are left as they were.

    Args:
        dataset: A data set with labels, its pipeline ending with crops of a size that the encoder takes.
        interval: Iterations between two looks.
        most_volumes: The first volumes of the data set that are looked at.
        per_class: Voxels per class and volume.
        neighbours: That vote.

    Raises:
        ValueError: An interval below 1; when the training starts, fewer than two volumes or one without label.
    """

    priority = 'NORMAL'

    def __init__(
        self, dataset: dict, interval: int = 500, *, most_volumes: int = 16, per_class: int = 100, neighbours: int = 20
    ) -> None:
        if interval < 1:
            raise ValueError(f'ProbeHook: interval must be 1 or more, got {interval}')
        self.dataset = dataset
        self.interval = interval
        self.most_volumes = most_volumes
        self.per_class = per_class
        self.neighbours = neighbours
        self.volumes: list[tuple[dict, Tensor]] = []

    def before_train(self, runner: Runner) -> None:
        """Read the volumes, and look once unless the run was resumed."""
        if not is_main_process():
            return
        dataset = DATASETS.build(self.dataset)
        generator = torch.Generator().manual_seed(0)
        for packed in islice(dataset, self.most_volumes):
            if 'gt_sem_seg' not in packed['data_samples']:
                raise ValueError(f'ProbeHook: {packed["data_samples"].get("case")} has no label, which a probe needs')
            labels = packed['data_samples'].gt_sem_seg.data[0]
            self.volumes.append((packed, sample_voxels(labels, self.per_class, generator)))
        if len(self.volumes) < 2:
            raise ValueError(
                f'ProbeHook: two labelled volumes are needed, one to fit and one to judge; got {len(self.volumes)}'
            )
        if runner.iter == 0:
            self.look(runner)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Look, where it is time."""
        if is_main_process() and self.every_n_train_iters(runner, self.interval):
            self.look(runner)

    def look(self, runner: Runner) -> None:
        """Fit, judge and log."""
        pairs = [self._rows(runner, packed, voxels) for packed, voxels in self.volumes]
        rows, ids = (torch.cat(parts) for parts in zip(*pairs[::2], strict=True))
        new_rows, truth = (torch.cat(parts) for parts in zip(*pairs[1::2], strict=True))
        classes = int(max(ids.max(), truth.max())) + 1
        linear = mean_recall(linear_probe(rows, ids, new_rows, classes=classes), truth)
        voted = nearest_neighbours(rows, ids, new_rows, classes=classes, neighbours=self.neighbours)
        seen = dict(linear=linear, neighbours=mean_recall(voted, truth), chance=1 / len(truth.unique()))
        for name, value in seen.items():
            runner.message_hub.update_scalar(f'train/probe/{name}', value)
        done = runner.iter + 1 if runner.iter else 0
        print_log(
            f'iteration {done}: probe of frozen features: mean recall {linear:.3f} linear, '
            f'{seen["neighbours"]:.3f} nearest neighbours, {seen["chance"]:.3f} by chance',
            logger='current',
        )

    @torch.no_grad()
    def _rows(self, runner: Runner, packed: dict, voxels: Tensor) -> tuple[Tensor, Tensor]:
        """Features and classes of one volume's voxels."""
        model = unwrapped(runner)
        training = model.training
        model.eval()
        try:
            with left_alone(model):
                batch = dict(inputs=[packed['inputs']], data_samples=[packed['data_samples']])
                preprocessor: Any = model.data_preprocessor
                show = preprocessor.stack if isinstance(preprocessor, ShowsUnchanged) else preprocessor
                inputs = show(batch)['inputs']
                features = [feature[0] for feature in model(inputs, mode='tensor').features]
        finally:
            model.train(training)
        labels = packed['data_samples'].gt_sem_seg.data[0]
        x, y, z = voxels.unbind(dim=1)
        rows = features_at(features, voxels, labels.shape)
        return rows, labels[x, y, z].to(rows.device)

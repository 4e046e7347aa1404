"""One process of distributed trainings; writes their weights. Not a test file."""

import copy
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from helpers_engine import run_config, train
from mmengine.config import Config
from mmengine.dist import get_rank
from tiny_pretraining import METHODS
from torch import Tensor, nn

from medctx3d.engine.launch import prepare_launch
from medctx3d.models.heads import AuxiliaryHead
from medctx3d.models.masking import MaskingStrategy
from medctx3d.models.views import Crops, Placement, PositionCrops, RandomViews
from medctx3d.registry import HEADS, MASKINGS, MODELS

# name, whose first word names the training of one process to compare with: form and number of auxiliary heads
PRETRAININGS = {name: ('', 0) for name in ('voco_paper', 'voco_v1', 'voco_v2', 'moco')}
ONE_PROCESS = {'masked': ('sum', 1), 'masked_and_small': ('sum', 2), **PRETRAININGS}
TWO_PROCESSES = {
    'masked': ('sum', 1),
    'masked sequential': ('sequential', 1),
    'masked concatenated': ('concatenated', 1),
    'masked_and_small sequential': ('sequential', 2),
    **PRETRAININGS,
}


@MASKINGS.register_module()
class EveryOther(MaskingStrategy):
    """The same cells for every sample, so that one process and two hide alike."""

    def draw(self, batch_size, grid, *, device, labels) -> Tensor:
        mask = torch.zeros(batch_size, *grid, dtype=torch.bool, device=device)
        mask[:, ::2, 1::2] = True
        return mask


@HEADS.register_module()
class SmallFeatures(AuxiliaryHead):
    """An objective on the clean pass whose parameter no later pass uses."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(8))

    def loss(self, *, student, taught, target, view, criterion):
        pooled = student.features[-1].square().mean(dim=(2, 3, 4))
        return {'loss_small': (self.scale * pooled).mean()}


@MODELS.register_module()
class EqualCrops(PositionCrops):
    """The same places in every volume, so that one process and two cut alike."""

    def forward(self, windows: Tensor) -> Crops:
        with torch.random.fork_rng():
            parts = []
            for window in windows:
                torch.manual_seed(0)
                parts.append(super().forward(window[None]))
        return Crops(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


@MODELS.register_module()
class EqualViews(RandomViews):
    """The same place in every volume, another at every call."""

    def forward(self, count: int, shape: Sequence[int]) -> Placement:
        place = super().forward(1, shape)
        return Placement(place.starts * count, place.sides * count, place.flips * count, place.size)


def pretraining(config: Config, name: str) -> None:
    """Make a training one of VoCo or MoCo, teacher and all, without what looks at other volumes of a process."""
    config.model = copy.deepcopy(METHODS[name])
    if name == 'moco':
        config.model.update(views=dict(type='EqualViews', size=(8, 8, 8)), queue_size=16)
        config.optim_wrapper.optimizer.lr = 0.0  # its loss has the volumes of a process: the keys alone are compared
    else:
        config.model.crops = dict(type='EqualCrops', grid=(2, 2, 2), base_size=(8, 8, 8), rotate_prob=0)
        config.model.criterion.inter_volume = False
        config.optim_wrapper.optimizer.lr = 0.01  # near l = 1 its logarithm makes much of the last bits
    if 'teacher' not in config.model:
        config.custom_hooks = []
    config.train_dataloader.dataset.update(read_labels=False)
    config.val_dataloader = config.val_evaluator = config.val_cfg = None


def train_in_turn(root: str | Path, work_dir: str | Path, launcher: str) -> None:
    for name, (passes, heads) in (ONE_PROCESS if launcher == 'none' else TWO_PROCESSES).items():
        config = run_config(root, f'{work_dir}/{launcher}_{name}', iterations=4)
        config.optim_wrapper.optimizer = dict(type='SGD', lr=0.1, momentum=0.9)  # Adam divides by tiny gradients
        if name in PRETRAININGS:
            pretraining(config, name)
        else:
            config.model.passes = passes
            config.model.auxiliary.medcontext.masking = dict(type='EveryOther', ratio=0.5)
        if heads == 2:
            config.model.auxiliary.small = dict(type='SmallFeatures')
            config.optim_wrapper.accumulative_counts = 2
        config.train_dataloader.batch_size = 4 if launcher == 'none' else 2
        config.randomness = dict(seed=0, diff_rank_seed=False)
        prepare_launch(config, launcher)
        runner = train(config)
        model = runner.model.module if launcher == 'pytorch' else runner.model
        torch.save(model.state_dict(), f'{work_dir}/{launcher}_{name}_rank{get_rank()}.pth')


if __name__ == '__main__':
    train_in_turn(*sys.argv[1:])

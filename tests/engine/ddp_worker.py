"""One process of distributed trainings; writes their weights. Not a test file."""

import sys
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
from medctx3d.models.views import Crops, PositionCrops
from medctx3d.registry import HEADS, MASKINGS, MODELS

# name, whose first word names the training of one process to compare with: form and number of auxiliary heads
ONE_PROCESS = {'masked': ('sum', 1), 'masked_and_small': ('sum', 2), 'voco': ('', 0)}
TWO_PROCESSES = {
    'masked': ('sum', 1),
    'masked sequential': ('sequential', 1),
    'masked concatenated': ('concatenated', 1),
    'masked_and_small sequential': ('sequential', 2),
    'voco': ('', 0),
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


def volume_contrast(config: Config) -> None:
    """Make a training one of VoCo, teacher and all."""
    config.model = dict(
        METHODS['voco_v1'], crops=dict(type='EqualCrops', grid=(2, 2, 2), base_size=(8, 8, 8), rotate_prob=0)
    )
    config.train_dataloader.dataset.update(read_labels=False)
    config.val_dataloader = config.val_evaluator = config.val_cfg = None


def train_in_turn(root: str | Path, work_dir: str | Path, launcher: str) -> None:
    for name, (passes, heads) in (ONE_PROCESS if launcher == 'none' else TWO_PROCESSES).items():
        config = run_config(root, f'{work_dir}/{launcher}_{name}', iterations=4)
        if name == 'voco':
            volume_contrast(config)
        else:
            config.model.passes = passes
            config.model.auxiliary.medcontext.masking = dict(type='EveryOther', ratio=0.5)
        if heads == 2:
            config.model.auxiliary.small = dict(type='SmallFeatures')
            config.optim_wrapper.accumulative_counts = 2
        config.train_dataloader.batch_size = 4 if launcher == 'none' else 2
        config.optim_wrapper.optimizer = dict(type='SGD', lr=0.1, momentum=0.9)  # Adam divides by tiny gradients
        config.randomness = dict(seed=0, diff_rank_seed=False)
        prepare_launch(config, launcher)
        runner = train(config)
        model = runner.model.module if launcher == 'pytorch' else runner.model
        torch.save(model.state_dict(), f'{work_dir}/{launcher}_{name}_rank{get_rank()}.pth')


if __name__ == '__main__':
    train_in_turn(*sys.argv[1:])

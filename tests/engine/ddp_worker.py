"""One process of distributed trainings; writes their weights. Not a test file."""

import sys
from pathlib import Path

import torch
from helpers_engine import run_config, train
from mmengine.dist import get_rank
from torch import Tensor, nn

from medctx3d.engine.launch import prepare_launch
from medctx3d.models.heads import AuxiliaryHead
from medctx3d.models.masking import MaskingStrategy
from medctx3d.registry import HEADS, MASKINGS

# name, whose first word names the training of one process to compare with: form and number of auxiliary heads
ONE_PROCESS = {'masked': ('sum', 1), 'masked_and_small': ('sum', 2)}
TWO_PROCESSES = {
    'masked': ('sum', 1),
    'masked sequential': ('sequential', 1),
    'masked concatenated': ('concatenated', 1),
    'masked_and_small sequential': ('sequential', 2),
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


def train_in_turn(root: str | Path, work_dir: str | Path, launcher: str) -> None:
    for name, (passes, heads) in (ONE_PROCESS if launcher == 'none' else TWO_PROCESSES).items():
        config = run_config(root, f'{work_dir}/{launcher}_{name}', iterations=4)
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

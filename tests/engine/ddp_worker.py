"""One process of a distributed training; writes its weights. Not a test file."""

import sys

import torch
from helpers_engine import run_config, train
from mmengine.dist import get_rank
from torch import Tensor

from medctx3d.engine.launch import prepare_launch
from medctx3d.models.masking import MaskingStrategy
from medctx3d.registry import MASKINGS


@MASKINGS.register_module()
class EveryOther(MaskingStrategy):
    """The same cells for every sample, so that one process and two hide alike."""

    def draw(self, batch_size, grid, *, device, labels) -> Tensor:
        mask = torch.zeros(batch_size, *grid, dtype=torch.bool, device=device)
        mask[:, ::2, 1::2] = True
        return mask


def main(root: str, work_dir: str, launcher: str) -> None:
    config = run_config(root, f'{work_dir}/{launcher}', iterations=4)
    config.model.auxiliary.medcontext.masking = dict(type='EveryOther', ratio=0.5)
    config.train_dataloader.batch_size = 4 if launcher == 'none' else 2
    config.optim_wrapper.optimizer = dict(type='SGD', lr=0.1, momentum=0.9)  # Adam divides by tiny gradients
    config.randomness = dict(seed=0, diff_rank_seed=False)
    prepare_launch(config, launcher)
    runner = train(config)
    model = runner.model.module if launcher == 'pytorch' else runner.model
    torch.save(model.state_dict(), f'{work_dir}/{launcher}_rank{get_rank()}.pth')


if __name__ == '__main__':
    main(*sys.argv[1:])

"""The truth of a batch, of which a part may be unlabelled."""

from __future__ import annotations

import torch
from torch import Tensor

from medctx3d.structures import VolumeDataSample
from medctx3d.typing import Criterion, Terms


def batch_truth(
    inputs: Tensor, data_samples: list[VolumeDataSample], criterion: Criterion
) -> tuple[Tensor, Criterion]:
    """Stack the labels of a batch.

    Args:
        inputs: (N, C, X, Y, Z).
        data_samples: N samples, with ``gt_sem_seg`` where there is truth.
        criterion: Scores a batch that is labelled throughout.

    Returns:
        Class ids (N, 1, X, Y, Z), -1 all over a volume without truth, and the criterion of those that have it.

    Raises:
        ValueError: No sample has truth.
    """
    labelled = [index for index, sample in enumerate(data_samples) if 'gt_sem_seg' in sample]
    if not labelled:
        raise ValueError(
            'no volume of the batch has a label, so there is nothing to supervise: put a labelled volume into '
            "every batch, with sampler=dict(type='MixedSampler', labelled=1, unlabelled=1) in train_dataloader "
            'and a batch_size that is a multiple of their sum'
        )
    if len(labelled) == len(data_samples):
        return torch.stack([sample.gt_sem_seg.data for sample in data_samples]).long(), criterion
    target = inputs.new_full((len(inputs), 1, *inputs.shape[2:]), -1, dtype=torch.long)
    for index in labelled:
        target[index] = data_samples[index].gt_sem_seg.data

    def supervised(logits: tuple[Tensor, ...], target: Tensor) -> Terms:
        return criterion(tuple(level[labelled] for level in logits), target[labelled])

    return target, supervised

"""Contrast of the volumes of one batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medctx3d.models.networks.embedding_net import EmbeddingNet
from medctx3d.models.selfsup.self_supervisor import SelfSupervisor
from medctx3d.registry import LOSSES, MODELS
from medctx3d.structures import VolumeDataSample
from medctx3d.typing import Terms


@MODELS.register_module()
class SimCLR(SelfSupervisor):
    """Find the other view of a volume among the views of the batch (Chen et al., ICML 2020, arXiv 2002.05709).

    The negatives are those of the process; several processes do not exchange them.

    Args:
        network: An :class:`EmbeddingNet`.
        views: Geometry of a view, such as ``dict(type='RandomViews', size=...)``.
        jitter: Intensities of a view, such as ``dict(type='IntensityJitter')``; None leaves them.
        criterion: Two batches of vectors to a scalar; None: MONAI's ContrastiveLoss at temperature 0.5.
        data_preprocessor: mmengine's; None: :class:`VolumePreprocessor`.
        init_cfg: mmengine's initialisation.
    """

    network_type = EmbeddingNet

    def __init__(
        self,
        network: dict | nn.Module,
        views: dict | nn.Module,
        *,
        jitter: dict | nn.Module | None = None,
        criterion: dict | nn.Module | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(network, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.views = MODELS.build(views) if isinstance(views, dict) else views
        self.jitter = MODELS.build(jitter) if isinstance(jitter, dict) else jitter
        chosen = criterion or dict(type='monai.losses.ContrastiveLoss', temperature=0.5)
        self.criterion = LOSSES.build(chosen) if isinstance(chosen, dict) else chosen

    def loss(self, inputs: Tensor, data_samples: list[VolumeDataSample]) -> Terms:
        """The contrastive term, and what it is where all vectors are the same.

        Raises:
            ValueError: The batch has one volume.
        """
        if len(inputs) < 2:
            raise ValueError(
                f'SimCLR tells the volumes of a batch apart and needs two or more per process, got {len(inputs)}: set '
                'train_dataloader.batch_size=2 or more'
            )
        first, second = self.embeddings(inputs).float().chunk(2)
        same = torch.ones_like(first)
        with torch.no_grad():
            floor = self.criterion(same, same)
        return {'loss_contrast': self.criterion(first, second), 'floor_constant': floor}

    def embeddings(self, inputs: Tensor) -> Tensor:
        """Vectors of two views of every volume (N, C, X, Y, Z): (2N, D), first views first."""
        pairs = torch.cat([self.views(len(inputs), inputs.shape[2:]).cut(inputs) for _ in range(2)])
        return self.network(pairs if self.jitter is None else self.jitter(pairs)).vectors

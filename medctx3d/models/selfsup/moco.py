"""Momentum contrast of whole volumes."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import all_gather
from torch import Tensor, nn
from torch.nn import functional as F

from medctx3d.models.networks.embedding_net import EmbeddingNet
from medctx3d.models.selfsup.self_supervisor import SelfSupervisor
from medctx3d.registry import MODELS
from medctx3d.structures import VolumeDataSample
from medctx3d.typing import Terms


@MODELS.register_module()
class MoCo(SelfSupervisor):
    r"""Find the other view of a volume among views of others (He et al., CVPR 2020, arXiv 1911.05722).

    With queries :math:`q` of the student on one view, keys :math:`k` of the teacher on another, both of unit length,
    and a queue of keys of earlier batches::

        loss_contrast = mean_i -log( exp(q_i k_i / t) / (exp(q_i k_i / t) + sum_queue exp(q_i k / t)) )

    The queue is state like a running statistic of the keys: it moves with every training batch, holds the keys of all
    processes in the same order, and travels in the checkpoint. It starts empty; until it has filled, the keys of the
    batch's other volumes are the negatives beside it.

    Args:
        network: An :class:`EmbeddingNet`.
        views: Geometry of a view, such as ``dict(type='RandomViews', size=...)``.
        jitter: Intensities of a view, such as ``dict(type='IntensityJitter')``; None leaves them.
        teacher: Such as ``dict(type='EMATeacher')``.
        queue_size: Keys that are kept.
        temperature: t.
        data_preprocessor: mmengine's; None: :class:`VolumePreprocessor`.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: No teacher, a queue below 1, or a temperature that is not positive.
    """

    network_type = EmbeddingNet

    queue: Tensor
    filled: Tensor

    def __init__(
        self,
        network: dict | nn.Module,
        views: dict | nn.Module,
        *,
        jitter: dict | nn.Module | None = None,
        teacher: dict | None = None,
        queue_size: int = 1024,
        temperature: float = 0.2,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if teacher is None:
            raise ValueError("MoCo: the keys come from a teacher: set teacher=dict(type='EMATeacher') and its hook")
        if queue_size < 1 or temperature <= 0:
            raise ValueError(
                f'MoCo: queue_size must be 1 or more and temperature positive, got {queue_size} and {temperature}'
            )
        super().__init__(network, teacher=teacher, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.views = MODELS.build(views) if isinstance(views, dict) else views
        self.jitter = MODELS.build(jitter) if isinstance(jitter, dict) else jitter
        self.temperature = temperature
        projector: Any = self.network.projector
        self.register_buffer('queue', torch.zeros(queue_size, projector.out_channels))
        self.register_buffer('filled', torch.zeros((), dtype=torch.long))  # keys ever taken in

    def loss(self, inputs: Tensor, data_samples: list[VolumeDataSample]) -> Terms:
        """The contrastive term, what it is where all vectors are the same, and how often the right key is nearest."""
        assert self.teacher is not None, 'checked in the constructor'
        queries = F.normalize(self.network(self.view(inputs)).vectors.float(), dim=1)
        with torch.no_grad():
            keys = F.normalize(self.teacher(self.view(inputs)).vectors.float(), dim=1)
        scores = self._scores(queries, keys) / self.temperature
        right = torch.arange(len(queries), device=queries.device)
        if self.training:
            self._enqueue(keys)
        return {
            'loss_contrast': F.cross_entropy(scores, right),
            'floor_constant': torch.isfinite(scores).sum(dim=1).float().log().mean(),
            'accuracy': (scores.argmax(dim=1) == right).float().mean(),
        }

    def view(self, inputs: Tensor) -> Tensor:
        """One random view of each volume (N, C, X, Y, Z)."""
        view = self.views(len(inputs), inputs.shape[2:]).cut(inputs)
        return view if self.jitter is None else self.jitter(view)

    def embeddings(self, inputs: Tensor) -> Tensor:
        """Vectors of two views of every volume."""
        return torch.cat([self.network(self.view(inputs)).vectors for _ in range(2)])

    def _scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """(N, N + queue_size) cosines with the batch's keys, then the queue's; empty places count for nothing."""
        empty = torch.arange(len(self.queue), device=queries.device) >= self.filled
        waiting = (queries @ self.queue.clone().T).masked_fill(empty, float('-inf'))
        return torch.cat([queries @ keys.T, waiting], dim=1)

    @torch.no_grad()
    def _enqueue(self, keys: Tensor) -> None:
        """Overwrite the oldest keys, without waiting for the device."""
        keys = torch.cat(all_gather(keys))[: len(self.queue)]
        places = (self.filled + torch.arange(len(keys), device=keys.device)) % len(self.queue)
        self.queue[places] = keys.to(self.queue.dtype)
        self.filled += len(keys)

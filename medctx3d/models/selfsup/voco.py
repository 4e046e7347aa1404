"""Volume contrast."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from medctx3d.models.networks.embedding_net import EmbeddingNet
from medctx3d.models.selfsup.self_supervisor import SelfSupervisor
from medctx3d.registry import LOSSES, MODELS
from medctx3d.structures import VolumeDataSample
from medctx3d.typing import Terms


@MODELS.register_module()
class VoCo(SelfSupervisor):
    """Tell where a crop lies by its similarity to a grid of base crops (arXiv 2402.17300, arXiv 2410.09890).

    Student and teacher embed random crops and the cells of the grid; :class:`VoCoLoss` compares. The teacher copies
    the whole network, or with ``teacher_of='projector'`` its projector alone, and then answers on the student's
    pooled features; without a teacher the student's own embeddings, detached, take its place.

    Args:
        network: An :class:`EmbeddingNet`.
        crops: A :class:`PositionCrops`; inputs have the size of its window.
        criterion: A :class:`VoCoLoss`.
        teacher: Such as ``dict(type='EMATeacher')``; None: there is none.
        teacher_of: What it copies: empty, the whole network, or ``projector``.
        data_preprocessor: mmengine's; None: :class:`VolumePreprocessor`.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: ``teacher_of`` is neither empty nor ``projector``, or a loss between volumes lacks a teacher.
    """

    network_type = EmbeddingNet

    def __init__(
        self,
        network: dict | nn.Module,
        crops: dict | nn.Module,
        criterion: dict | nn.Module,
        *,
        teacher: dict | None = None,
        teacher_of: str = '',
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            network, teacher=teacher, teacher_of=teacher_of, data_preprocessor=data_preprocessor, init_cfg=init_cfg
        )
        self.crops = MODELS.build(crops) if isinstance(crops, dict) else crops
        self.criterion = LOSSES.build(criterion) if isinstance(criterion, dict) else criterion
        if self.teacher_of not in ('', 'projector'):
            raise ValueError(f"VoCo: teacher_of must be '' or 'projector', got {self.teacher_of!r}")
        if self.teacher is None and getattr(self.criterion, 'inter_volume', False):
            raise ValueError(
                "VoCo: inter_volume follows a teacher: set teacher=dict(type='EMATeacher') and its hook, or drop it"
            )

    def loss(self, inputs: Tensor, data_samples: list[VolumeDataSample]) -> Terms:
        """The terms of :class:`VoCoLoss`; see :class:`SelfSupervisor`."""
        crops = self.crops(inputs)
        shown = torch.cat([crops.drawn, crops.bases])
        embedded = self.network(shown)
        taught = self._taught(shown, embedded)
        volumes, drawn = len(inputs), len(crops.drawn)

        def rows(vectors: Tensor) -> tuple[Tensor, Tensor]:
            return vectors[:drawn].unflatten(0, (volumes, -1)), vectors[drawn:].unflatten(0, (volumes, -1))

        return self.criterion(*rows(embedded.vectors), *rows(taught), crops.overlap)

    @torch.no_grad()
    def _taught(self, shown: Tensor, embedded: Any) -> Tensor:
        if self.teacher is None:
            return embedded.vectors.detach()
        return self.teacher(embedded.pooled) if self.teacher_of else self.teacher(shown).vectors

    def embeddings(self, inputs: Tensor) -> Tensor:
        """Vectors of random crops and of the cells."""
        crops = self.crops(inputs)
        return self.network(torch.cat([crops.drawn, crops.bases])).vectors

"""Contrast of regions on top of a pretraining of whole volumes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from medctx3d.models.heads.region_contrast_head import spared_share, stack_regions
from medctx3d.models.losses.region_contrast_loss import same_for_all_floor, to_grid
from medctx3d.models.networks.embedding_net import EmbeddingNet
from medctx3d.models.selfsup.self_supervisor import SelfSupervisor
from medctx3d.registry import LOSSES, MODELS
from medctx3d.structures import VolumeDataSample
from medctx3d.typing import Terms


@MODELS.register_module()
class LRC(SelfSupervisor):
    """Localized Region Contrast (arXiv 2304.03406): a global objective plus one that tells regions apart.

    ``loss = base + weight * loss_region``: the base method's terms as they are, and :class:`RegionContrastLoss` on the
    decoder's features of two views of each volume, whose geometry is followed by the region maps (``gt_regions``).
    ``floor_region`` is what ``loss_region`` would be if all features were the same.
    Anchors come from the student on the first view, positives and negatives from the teacher on the second, or, where
    the base has no teacher of the whole network, from the student without gradient.

    The views are drawn apart from those of the base, whose crops may be of any kind: the local term costs one more
    pass of the student and one of the teacher.

    Args:
        base: A pretraining such as ``dict(type='MoCo', ...)``, its ``network`` with ``decode_head`` and
            ``local_projector`` (see :class:`EmbeddingNet`). Its network and teacher become this model's.
        views: Geometry of a view, such as ``dict(type='RandomViews', size=...)``; two of them must overlap, or they
            share no region.
        contrast: Such as ``dict(type='RegionContrastLoss')``.
        jitter: Intensities of a view, such as ``dict(type='IntensityJitter')``, changed after regions were made.
        weight: Of the local term (lambda).
        channel: Of the image, for the contrast's options that look at intensities.
        data_preprocessor: mmengine's; None: :class:`VolumePreprocessor`.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: The network has no decoder or no local projector, or ``weight`` is negative.
    """

    network_type = EmbeddingNet

    def __init__(
        self,
        base: dict | SelfSupervisor,
        views: dict | nn.Module,
        contrast: dict | nn.Module,
        *,
        jitter: dict | nn.Module | None = None,
        weight: float = 1.0,
        channel: int = 0,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        built: SelfSupervisor = MODELS.build(base) if isinstance(base, dict) else base
        if any(getattr(built.network, part, None) is None for part in ('decode_head', 'local_projector')):
            raise ValueError(
                'LRC compares decoder features of an EmbeddingNet: give base.network a decode_head=dict(type=...) and '
                "a local_projector=dict(type='Projector', norm='none', ...); got "
                f'{type(built).__name__} with {type(built.network).__name__}'
            )
        if weight < 0 or channel < 0:
            raise ValueError(f'LRC: weight and channel must not be negative, got {weight} and {channel}')
        super().__init__(
            built.network, teacher_of=built.teacher_of, data_preprocessor=data_preprocessor, init_cfg=init_cfg
        )
        self.teacher = built.teacher
        self.base = built
        for name in ('network', 'teacher'):  # one owner, so that checkpoints name these weights as everywhere
            built.__dict__[name] = built._modules.pop(name, None)
        self.views = MODELS.build(views) if isinstance(views, dict) else views
        self.contrast: Any = LOSSES.build(contrast) if isinstance(contrast, dict) else contrast
        self.jitter = MODELS.build(jitter) if isinstance(jitter, dict) else jitter
        self.weight = weight
        self.channel = channel

    def loss(self, inputs: Tensor, data_samples: list[VolumeDataSample]) -> Terms:
        """The base's terms and the local one; see :class:`SelfSupervisor`."""
        return self.base.loss(inputs, data_samples) | self._local(inputs, stack_regions(data_samples))

    def embeddings(self, inputs: Tensor) -> Tensor:
        """Those of the base."""
        return self.base.embeddings(inputs)

    def _local(self, inputs: Tensor, regions: Tensor) -> Terms:
        places = [self.views(len(inputs), inputs.shape[2:]) for _ in range(2)]
        seen = [place.cut(inputs) for place in places]
        shown = seen if self.jitter is None else [self.jitter(view) for view in seen]
        features = self.network(shown[0]).decoded
        keys: Any = self.network if self.teacher is None or self.teacher_of else self.teacher
        projector = getattr(keys, 'module', keys).local_projector
        with torch.no_grad():
            other = keys(shown[1]).decoded
        grid = features.shape[2:]
        maps = [to_grid(place.cut(regions, labels=True), grid) for place in places]
        grey = [to_grid(view[:, self.channel : self.channel + 1], grid) for view in seen]
        draw = self.contrast.draw(maps[0], other_regions=maps[1], intensities=grey[0], other_intensities=grey[1])
        local: Any = self.network.local_projector
        value = self.contrast.compare(
            features, draw, other=other, project=local, project_other=torch.no_grad()(projector.forward)
        )
        return {
            'loss_region': self.weight * value,
            'floor_region': self.weight * same_for_all_floor(draw.kept, draw.valid),
            'regions': draw.valid.sum() / len(draw.valid),
            'spared': spared_share(draw.kept, draw.valid),
        }

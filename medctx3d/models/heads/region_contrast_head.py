"""Contrast of regions as an auxiliary objective."""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from medctx3d.models.blocks.projector import Projector
from medctx3d.models.heads.auxiliary_head import AuxiliaryHead
from medctx3d.models.losses.region_contrast_loss import to_grid
from medctx3d.registry import HEADS, LOSSES, MODELS
from medctx3d.structures import VolumeDataSample
from medctx3d.typing import Criterion, SegOutput, View

Second = Literal['student', 'teacher']


@HEADS.register_module()
class RegionContrastHead(AuxiliaryHead):
    """Tell regions (super-voxels) apart in the decoder's features (after LRC, arXiv 2304.03406).

    ``loss_region = ramp * weight * contrast(h(D), regions)``, D being the decoder's finest features on the crop, h a
    perceptron on each voxel (1x1x1 convolutions, computed for the drawn voxels alone), and the regions those of
    ``gt_regions``, made offline of intensities that no augmentation has touched. Volumes without labels take part.

    Args:
        contrast: Such as ``dict(type='RegionContrastLoss', max_regions=32)``.
        in_channels: Of the decoder's finest features; comes from the network.
        channels: Width of h and of its answer.
        second: Where positives and negatives are taken from: the ``student``'s same answer, at other voxels and with
            gradient, or the ``teacher``'s on the clean crop, without.
        jitter: The student then sees a view with other intensities, such as ``dict(type='IntensityJitter')``, in a
            pass of its own: against an answer that intensities alone would give. None: its answer on the clean crop.
        weight: Of the term (lambda).
        body_above: Voxels at or below this intensity of the working crop belong to no region. None: the maps alone say
            where the body is.
        channel: Of the image, for everything that looks at intensities.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: An unknown ``second``, or a value outside its range.
    """

    requires_decoded = True

    def __init__(
        self,
        contrast: dict | nn.Module,
        *,
        in_channels: int,
        channels: int = 64,
        second: Second = 'student',
        jitter: dict | nn.Module | None = None,
        weight: float = 1.0,
        body_above: float | None = None,
        channel: int = 0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if second not in get_args(Second):
            raise ValueError(f'RegionContrastHead: second must be one of {get_args(Second)}, got {second!r}')
        if channels < 1 or weight < 0 or channel < 0:
            raise ValueError(
                'RegionContrastHead: channels must be at least 1, weight and channel not negative, got '
                f'{channels}, {weight} and {channel}'
            )
        self.contrast: Any = LOSSES.build(contrast) if isinstance(contrast, dict) else contrast
        self.projector = Projector(in_channels, channels, channels, num_layers=2, norm='none')
        self.jitter = MODELS.build(jitter) if isinstance(jitter, dict) else jitter
        self.requires_teacher = second == 'teacher'
        self.weight = weight
        self.body_above = body_above
        self.channel = channel

    def make_view(self, inputs: Tensor, target: Tensor) -> View | None:
        """The volumes with other intensities, where that is asked for."""
        return None if self.jitter is None else View(self.jitter(inputs))

    def extras(self, inputs: Tensor, data_samples: list[VolumeDataSample]) -> dict[str, Any]:
        """Region maps and intensities of the crops."""
        intensities = inputs[:, self.channel : self.channel + 1]
        regions = stack_regions(data_samples)
        if self.body_above is not None:
            regions = regions * (intensities > self.body_above)
        return dict(regions=regions, intensities=intensities)

    def loss(
        self,
        *,
        student: SegOutput,
        taught: SegOutput | None,
        target: Tensor,
        view: View | None,
        criterion: Criterion,
        regions: Tensor | None = None,
        intensities: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """The contrast of regions, which ``extras`` brings; see :class:`AuxiliaryHead`."""
        assert student.decoded is not None, 'the segmentor checks requires_decoded when it builds the head'
        assert regions is not None, 'extras refuses a batch without'
        assert intensities is not None, 'likewise'
        other = taught.decoded if taught is not None and self.requires_teacher else None
        grid = student.decoded.shape[2:]
        draw = self.contrast.draw(
            to_grid(regions, grid),
            intensities=to_grid(intensities, grid),
            two_views=other is not None,
        )
        value = self.contrast.compare(
            student.decoded,
            draw,
            other=other,
            project=self.projector,
            project_other=self._still if other is not None else None,
        )
        return {
            'loss_region': self.ramp * self.weight * value,
            'regions': draw.valid.sum() / len(draw.valid),
            'spared': spared_share(draw.kept, draw.valid),
        }

    @torch.no_grad()
    def _still(self, rows: Tensor) -> Tensor:
        """The projection of the teacher's features, which no gradient leaves."""
        projected: Tensor = self.projector(rows)
        return projected


def stack_regions(data_samples: list[VolumeDataSample]) -> Tensor:
    """Region maps of a batch, (N, 1, X, Y, Z) int32.

    Raises:
        ValueError: A sample has none.
    """
    bare = [str(sample.get('case', '?')) for sample in data_samples if 'gt_regions' not in sample]
    if bare:
        raise ValueError(
            f'a contrast of regions needs a region map of every volume, {", ".join(bare[:5])} came without: make maps '
            "with tools/dataset/superpixels.py and set train_dataloader.dataset.region_maps='beside'"
        )
    return torch.stack([sample.gt_regions.data for sample in data_samples])


def spared_share(kept: Tensor, valid: Tensor) -> Tensor:
    """Share of the negatives that were left out; without indexing, which would make the device wait."""
    drawn = valid.sum() * kept.shape[2]
    return (~kept & valid[..., None]).sum() / drawn.clamp_min(1)

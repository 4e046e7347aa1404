"""Volume Fusion: from a batch of crops to fused crops and the coefficients to find."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Generator, Tensor

from medctx3d.models.preprocessors.fusion_views import RandomContrast, RandomResizedView
from medctx3d.models.preprocessors.level_maps import build_sampling, draw_levels
from medctx3d.models.preprocessors.volume_preprocessor import VolumePreprocessor
from medctx3d.registry import MODELS
from medctx3d.structures import VolumeData, VolumeDataSample
from medctx3d.typing import Size3

Pairing = Literal['cross_volume', 'same_volume']


@MODELS.register_module()
class VolumeFusionPreprocessor(VolumePreprocessor):
    """Fuse crops pairwise and write the coefficients as the truth to segment (Volume Fusion, arXiv 2306.16925).

    With a foreground crop f, a background crop b and a level map y of values 0 to K, x = a f + (1 - a) b with a = y / K.
    A segmentor with K + 1 classes is trained to find y in x, by its ordinary supervised terms. Labels of the volumes are
    neither needed nor used. Docs: docs/explanation/volume_fusion.md.

    A batch of N crops gives N fused crops. In training all is drawn from torch's CPU generator, which
    :class:`~medctx3d.engine.hooks.IterationSeedHook` seeds, and is the same on every device. In validation the seed is the
    case, so that a score can be compared with the one before.

    Args:
        num_levels: K.
        sampling: ``'paper_boxes'``, ``'pymic_grid'`` or ``'nnssl_boxes'``, or one of these with other numbers, such as
            ``dict(type='paper_boxes', smallest=4)``; see :mod:`~medctx3d.models.preprocessors.level_maps`.
        pairing: ``'cross_volume'``: each crop is the background of the one before it in the batch. ``'same_volume'``:
            foreground and background are two views of one crop, which ``view`` draws.
        view: Arguments of :class:`~medctx3d.models.preprocessors.fusion_views.RandomResizedView`; None: crops as they
            are.
        contrast: Arguments of :class:`~medctx3d.models.preprocessors.fusion_views.RandomContrast`; None: intensities as
            they are.
        non_blocking: Copy to the device without waiting, which needs pinned memory to have an effect.

    Raises:
        ValueError: An argument is outside its range, or two views of one crop are wanted without ``view``.
    """

    def __init__(
        self,
        num_levels: int = 4,
        sampling: str | dict[str, Any] = 'paper_boxes',
        pairing: Pairing = 'cross_volume',
        *,
        view: dict[str, Any] | None = None,
        contrast: dict[str, Any] | None = None,
        non_blocking: bool = True,
    ) -> None:
        super().__init__(non_blocking=non_blocking)
        if not 1 <= num_levels <= 255:
            raise ValueError(f'num_levels must lie in 1..255, got {num_levels}')
        if pairing not in get_args(Pairing):
            raise ValueError(f'pairing must be one of {get_args(Pairing)}, got {pairing!r}')
        if pairing == 'same_volume' and view is None:
            raise ValueError(
                "pairing='same_volume' fuses two views of one crop: say which, view=dict(size=(X, Y, Z)), and let "
                'ForegroundCrop cut larger crops than that'
            )
        self.num_levels, self.pairing = num_levels, pairing
        self.sampling = build_sampling(sampling)
        self.view = RandomResizedView(**view) if view is not None else None
        self.contrast = RandomContrast(**contrast) if contrast is not None else None

    def forward(self, data: dict, training: bool = False) -> dict:
        """Stack a collated batch and fuse it.

        Args:
            data: ``inputs``, a list of N tensors (C, X, Y, Z), and ``data_samples``, a list of N samples.
            training: Whether to draw from torch's generator; else from the cases.

        Returns:
            ``inputs`` (N, C, X, Y, Z) float32, fused, and ``data_samples`` with the levels as ``gt_sem_seg``.

        Raises:
            ValueError: Crops differ in shape or are too small for the sampling, or a batch of one crop is to be fused
                across volumes.
        """
        batch = super().forward(data, training)
        inputs, samples = batch['inputs'], batch['data_samples'] or [VolumeDataSample() for _ in batch['inputs']]
        self.check_batch(len(inputs))
        generators = [torch.default_generator] * len(inputs) if training else [_of_case(sample) for sample in samples]
        fused, levels = self.fuse(inputs, generators)
        for sample, found in zip(samples, levels.long(), strict=True):
            sample.gt_sem_seg = VolumeData(data=found, metainfo=dict(affine=sample.get('affine')))
        return dict(inputs=fused, data_samples=samples)

    def fuse(self, inputs: Tensor, generators: Sequence[Generator]) -> tuple[Tensor, Tensor]:
        """Fuse a batch.

        Args:
            inputs: (N, C, X, Y, Z) float.
            generators: N CPU generators, which may be the same.

        Returns:
            The fused crops (N, C, x, y, z) and their levels (N, 1, x, y, z) uint8, 0 to K.
        """
        background, foreground = self.pair(inputs, generators)
        x, y, z = background.shape[2:]
        levels = draw_levels(self.sampling, self.num_levels, (x, y, z), generators, inputs.device)
        return blend(foreground, background, levels, self.num_levels), levels

    def pair(self, inputs: Tensor, generators: Sequence[Generator]) -> tuple[Tensor, Tensor]:
        """Backgrounds and foregrounds (N, C, x, y, z) of a batch, each a view of its own."""
        sources = (inputs, inputs.roll(1, 0) if self.pairing == 'cross_volume' else inputs)
        if self.view is not None:
            sources = (self.view(sources[0], generators), self.view(sources[1], generators))
        return self.contrast(sources, generators) if self.contrast is not None else sources

    def check_batch(self, size: int) -> None:
        """Refuse batches that cannot be paired.

        Raises:
            ValueError: One crop, where pairs are to be of two volumes.
        """
        if self.pairing == 'cross_volume' and size < 2:
            raise ValueError(
                f"pairing='cross_volume' fuses each crop with another of its batch, and needs batch_size 2 or more, got "
                f"{size}: raise it (with drop_last=True in val_dataloader), or set pairing='same_volume'"
            )

    def check_crop(self, crop: Size3) -> Size3:
        """The size (X, Y, Z) of fused crops.

        Raises:
            ValueError: Crops are too small for the sampling, or two views of them would be the same.
        """
        if self.view is not None:
            self.view.check_crop(crop, self.pairing)
        size = crop if self.view is None else self.view.size
        self.sampling.check_size(size)
        return size


def blend(foreground: Tensor, background: Tensor, levels: Tensor, num_levels: int) -> Tensor:
    """Fuse two crops: a f + (1 - a) b with a = y / K.

    Level 0 is the background and level K the foreground, to the last bit and whatever the other holds.

    Args:
        foreground: (N, C, X, Y, Z) float, f.
        background: The same, b.
        levels: (N, 1, X, Y, Z), y, whole numbers from 0 to K.
        num_levels: K.

    Returns:
        (N, C, X, Y, Z) of the crops' type.
    """
    alpha = levels.to(foreground.dtype) / num_levels
    mixed = alpha * foreground + (1 - alpha) * background
    return torch.where(levels == 0, background, torch.where(levels == num_levels, foreground, mixed))


def _of_case(sample: VolumeDataSample) -> Generator:
    return torch.Generator().manual_seed(zlib.crc32(str(sample.get('case')).encode()))

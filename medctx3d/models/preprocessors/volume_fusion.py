"""Volume Fusion: from a batch of crops to fused crops and the coefficients to find."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from medctx3d.models.preprocessors.level_maps import build_sampling, draw_levels
from medctx3d.models.preprocessors.volume_preprocessor import VolumePreprocessor
from medctx3d.models.views import RandomViews
from medctx3d.registry import MODELS
from medctx3d.structures import VolumeData, VolumeDataSample
from medctx3d.typing import Size3

Pairing = Literal['cross_volume', 'same_volume']


@MODELS.register_module()
class VolumeFusionPreprocessor(VolumePreprocessor):
    """Fuse crops pairwise and write the coefficients as the truth to segment (Volume Fusion, arXiv 2306.16925).

    With a foreground crop f, a background crop b and a level map y of values 0 to K, x = a f + (1 - a) b with
    a = y / K. A segmentor with K + 1 classes is trained to find y in x, by its ordinary supervised terms. Labels of
    the volumes are neither needed nor used. Docs: docs/explanation/volume_fusion.md.

    A batch of N crops gives N fused crops. In training, maps and places of views are drawn from torch's CPU
    generator, which :class:`~medctx3d.engine.hooks.IterationSeedHook` seeds. In validation the seed is the cases', so
    that a score can be compared with the one before.

    Args:
        num_levels: K.
        sampling: ``'paper_boxes'``, ``'pymic_grid'`` or ``'nnssl_boxes'``, or one of these with other numbers, such as
            ``dict(name='paper_boxes', smallest=4)``; see :mod:`~medctx3d.models.preprocessors.level_maps`.
        pairing: ``'cross_volume'``: each crop is the background of the one before it in the batch. ``'same_volume'``:
            foreground and background are two views of one crop.
        view: Places of views, such as ``dict(type='RandomViews', size=(64, 64, 64), zoom=(0.7, 1.5))``; None: crops as
            they are, which only ``cross_volume`` can do with.
        intensity: What is done to the intensities of each view, such as ``dict(type='PercentileCurve')``.
        invert: Probability of 1 - x for both views of a pair, whose intensities must lie in 0..1.
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
        view: dict | RandomViews | None = None,
        intensity: dict | nn.Module | None = None,
        invert: float = 0.0,
        non_blocking: bool = True,
    ) -> None:
        super().__init__(non_blocking=non_blocking)
        if not 1 <= num_levels <= 255:
            raise ValueError(f'num_levels must lie in 1..255, got {num_levels}')
        if pairing not in get_args(Pairing):
            raise ValueError(f'pairing must be one of {get_args(Pairing)}, got {pairing!r}')
        if not 0 <= invert <= 1:
            raise ValueError(f'invert must be a probability from 0 to 1, got {invert}')
        if pairing == 'same_volume' and view is None:
            raise ValueError(
                "pairing='same_volume' fuses two views of one crop: say which, view=dict(type='RandomViews', "
                'size=(X, Y, Z), zoom=(0.7, 1.5)), and let ForegroundCrop cut larger crops than that'
            )
        self.num_levels, self.pairing, self.invert = num_levels, pairing, invert
        self.sampling = build_sampling(sampling)
        self.view: RandomViews | None = MODELS.build(view) if isinstance(view, dict) else view
        self.intensity = MODELS.build(intensity) if isinstance(intensity, dict) else intensity

    def forward(self, data: dict, training: bool = False) -> dict:
        """Stack a collated batch and fuse it.

        Args:
            data: ``inputs``, a list of N tensors (C, X, Y, Z), and ``data_samples``, a list of N samples.
            training: Whether to draw from torch's generators as they stand; else they are seeded by the cases, and
                put back.

        Returns:
            ``inputs`` (N, C, X, Y, Z) float32, fused, and ``data_samples`` with the levels as ``gt_sem_seg``.

        Raises:
            ValueError: Crops differ in shape or are too small for the sampling, or a batch of one crop is to be fused
                across volumes.
        """
        batch = self.stack(data)
        inputs = batch['inputs']
        samples = batch['data_samples'] or [VolumeDataSample() for _ in inputs]
        self.check_batch(len(inputs))
        if training:
            fused, levels = self.fuse(inputs)
        else:
            with _seeded_by(samples, inputs.device):
                fused, levels = self.fuse(inputs)
        for sample, found in zip(samples, levels.long(), strict=True):
            sample.gt_sem_seg = VolumeData(data=found, metainfo=dict(affine=sample.get('affine')))
        return dict(inputs=fused, data_samples=samples)

    @torch.no_grad()
    def fuse(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse a batch (N, C, X, Y, Z).

        Returns:
            The fused crops (N, C, x, y, z) and their levels (N, 1, x, y, z) uint8, 0 to K.
        """
        background, foreground = self.pair(inputs)
        x, y, z = background.shape[2:]
        levels = draw_levels(self.sampling, self.num_levels, count=len(inputs), size=(x, y, z), device=inputs.device)
        return blend(foreground, background, levels, self.num_levels), levels

    def pair(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Backgrounds and foregrounds (N, C, x, y, z) of a batch, each a view of its own."""
        pair = self._view(inputs), self._view(inputs.roll(1, 0) if self.pairing == 'cross_volume' else inputs)
        if not self.invert:
            return pair
        inverted = (torch.rand(len(inputs), 1, 1, 1, 1, device=inputs.device) < self.invert).to(inputs.dtype)
        return pair[0].lerp(1 - pair[0], inverted), pair[1].lerp(1 - pair[1], inverted)

    def _view(self, volumes: Tensor) -> Tensor:
        if self.view is not None:
            x, y, z = volumes.shape[2:]
            volumes = self.view(len(volumes), (x, y, z)).cut(volumes)
        return volumes if self.intensity is None else self.intensity(volumes)

    def check_batch(self, size: int) -> None:
        """Refuse batches that cannot be paired.

        Raises:
            ValueError: One crop, where pairs are to be of two volumes.
        """
        if self.pairing == 'cross_volume' and size < 2:
            raise ValueError(
                f"pairing='cross_volume' fuses each crop with another of its batch and needs batch_size=2 or more, "
                f"got {size}: raise it (with drop_last=True in val_dataloader), or set pairing='same_volume'"
            )

    def fused_size(self, crop: Size3) -> Size3:
        """The size (X, Y, Z) of what is fused from crops of a size.

        Raises:
            ValueError: Crops are too small for the sampling, or two views of one would always be the same.
        """
        size = crop if self.view is None else self.view.size
        self.sampling.check_size(size)
        if self.pairing == 'same_volume' and crop == size and self.view is not None and self.view.zoom == (1.0, 1.0):
            raise ValueError(
                f"pairing='same_volume': views of {size} voxels of crops of {crop}, without zoom, differ in flips "
                'alone: let ForegroundCrop cut larger crops, or set view.zoom=(0.7, 1.5)'
            )
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


@contextmanager
def _seeded_by(samples: Sequence[VolumeDataSample], device: torch.device) -> Iterator[None]:
    """Seed torch's generators of the CPU and of the device by the cases of a batch, and put them back afterwards."""
    seed = zlib.crc32('\n'.join(str(sample.get('case')) for sample in samples).encode())
    with torch.random.fork_rng([device] if device.type == 'cuda' else []):
        torch.manual_seed(seed)
        yield

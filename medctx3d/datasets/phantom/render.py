"""From tissues to Hounsfield units and labels on the grid of the scanner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from .anatomy import LABEL_OF, TISSUE_HU, Tissue
from .fields import smooth_noise

MOST_PIECES = {10: 4, 8: 2, 12: 2, 13: 2}  # portal vein, aorta, adrenals
BLUR = 0.85  # standard deviation of the scanner's in-plane blur, mm
TAPS = 32  # length of the ring on which the noise filter is designed; correlations die long before


class Noise(NamedTuple):
    """Scanner noise as it is seen in the finished image.

    Args:
        sd: Standard deviation, HU.
        length: Distance (mm) along x, y, z over which the correlation falls to 1/e.
    """

    sd: float
    length: tuple[float, float, float] = (1.8, 1.2, 3.0)

    def kernel(self, axis: int, spacing: float) -> np.ndarray:
        """Filter of unit gain in variance that gives white noise the wanted correlation along one axis."""
        steps = np.minimum(np.arange(TAPS), TAPS - np.arange(TAPS))
        wanted = np.exp(-np.square(steps * spacing / self.length[axis]))
        taps = np.fft.fftshift(np.fft.ifft(np.sqrt(np.maximum(np.fft.fft(wanted).real, 0))).real)
        half = 1 + int(np.flatnonzero(np.abs(taps) > 1e-3 * taps.max()).max()) - TAPS // 2
        taps = taps[TAPS // 2 - half + 1 : TAPS // 2 + half]
        return taps / np.sqrt(np.square(taps).sum())

    def correlation(self, axis: int, spacing: float) -> float:
        """Correlation of neighbouring voxels along one axis."""
        return float(np.exp(-np.square(spacing / self.length[axis])))

    def draw(self, rng: np.random.Generator, shape: Sequence[int], spacing: Sequence[float]) -> np.ndarray:
        """Draw noise of the given shape, float32, HU."""
        noise = rng.standard_normal(tuple(shape), dtype=np.float32)
        for axis, step in enumerate(spacing):
            taps = self.kernel(axis, step)
            if len(taps) > 1:
                noise = ndimage.correlate1d(noise, taps.astype(np.float32), axis=axis, mode='wrap')
        noise *= np.float32(self.sd)
        return noise


def block_mean(array: np.ndarray, blocks: Sequence[int]) -> np.ndarray:
    """Mean over blocks of `blocks` voxels; the shape must be a multiple of it."""
    for axis, block in enumerate(blocks):
        if block > 1:
            total = sum(np.take(array, range(start, array.shape[axis], block), axis) for start in range(block))
            array = np.asarray(total) / np.float32(block)
    return array


def majority_label(tissue: np.ndarray, blocks: Sequence[int]) -> np.ndarray:
    """Label of every output voxel: the one that fills most of it, loose specks left out.

    Args:
        tissue: Tissue ids on the painted grid.
        blocks: Painted voxels per output voxel along x, y, z.

    Returns:
        Label ids, uint8; where shares tie the background wins, then the smaller id.
    """
    table = np.zeros(256, np.uint8)
    table[1:14] = np.arange(1, 14)
    for part, organ in LABEL_OF.items():
        table[part] = organ
    fine = table[tissue]
    shape = tuple(size // block for size, block in zip(fine.shape, blocks, strict=True))
    winner, best = np.zeros(shape, np.uint8), np.zeros(shape, np.float32)
    inside = np.zeros(shape, np.float32)
    for organ, found in enumerate(ndimage.find_objects(fine), start=1):
        if found is None:
            continue
        out = tuple(slice(p.start // b, -(-p.stop // b)) for p, b in zip(found, blocks, strict=True))
        box = tuple(slice(p.start * b, p.stop * b) for p, b in zip(out, blocks, strict=True))
        share = block_mean((fine[box] == organ).astype(np.float32), blocks)
        inside[out] += share
        better = share > best[out]
        winner[out][better] = organ
        best[out][better] = share[better]
    winner[1 - inside >= best] = 0
    for organ, found in enumerate(ndimage.find_objects(winner), start=1):
        if found is not None:
            _drop_specks(winner[found], organ)
    return winner


def _drop_specks(labels: np.ndarray, organ: int) -> None:
    """Clear, in place, the pieces of an organ beyond those that real anatomy or a coarse grid explains."""
    pieces, number = ndimage.label(labels == organ, structure=np.ones((3, 3, 3)))
    if number < 2:
        return
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    kept = np.argsort(sizes)[::-1][: MOST_PIECES.get(organ, 1)]
    kept = kept[sizes[kept] >= 0.1 * sizes.max()]
    labels[(pieces > 0) & ~np.isin(pieces, kept)] = 0


def render_hu(
    tissue: np.ndarray,
    blocks: Sequence[int],
    axes: Sequence[np.ndarray],
    *,
    means: np.ndarray,
    rng: np.random.Generator,
    blur: float = BLUR,
) -> np.ndarray:
    """Noise-free image: tissue means, texture, blur of the scanner, average over the output voxel.

    Args:
        tissue: Tissue ids on the painted grid.
        blocks: Painted voxels per output voxel along x, y, z.
        axes: Centres of the output voxels, mm.
        means: Mean HU of every tissue id, shape (256,).
        rng: Source of the textures.
        blur: Standard deviation of the in-plane blur, mm.

    Returns:
        Image in HU on the output grid, float32.
    """
    amplitude = np.zeros(256, np.float32)
    for kind, (_, _, _, shading) in TISSUE_HU.items():
        amplitude[kind] = shading
    shape = [len(axis) for axis in axes]
    image, shade = np.empty(shape, np.float32), np.empty(shape, np.float32)
    strands, muscle = np.empty(shape, np.float32), np.empty(shape, np.float32)
    sigma = [blur / (float(axis[1] - axis[0]) / block) for axis, block in zip(axes[:2], blocks[:2], strict=True)]
    for start in range(0, shape[2], 8):  # slabs keep the float copy of a full-size map small
        part = tissue[:, :, start * blocks[2] : (start + 8) * blocks[2]]
        sharp = means[part]
        for axis in (0, 1):
            if sigma[axis] > 0.2:
                sharp = ndimage.gaussian_filter1d(sharp, sigma[axis], axis=axis)
        image[:, :, start : start + 8] = block_mean(sharp, blocks)
        shade[:, :, start : start + 8] = block_mean(amplitude[part], blocks)
        fatty = np.isin(part, (Tissue.CAVITY, Tissue.SINUS_FAT)).astype(np.float32)
        strands[:, :, start : start + 8] = block_mean(fatty, blocks)
        muscle[:, :, start : start + 8] = block_mean((part == Tissue.MUSCLE).astype(np.float32), blocks)
    image += shade * (0.75 * smooth_noise(rng, axes, 13.0) + 0.66 * smooth_noise(rng, axes, 5.0))
    # Zero crossings of smooth noise are thin sheets: they stand for septa and small vessels in the fat.
    image += strands * 48 * np.exp(-np.square(smooth_noise(rng, axes, 15.0) / 0.14))
    image -= muscle * rng.uniform(10, 60) * np.exp(-np.square(smooth_noise(rng, axes, 20.0) / 0.10))
    return image


def tissue_means(rng: np.random.Generator, enhancement: float) -> np.ndarray:
    """Mean HU (256,) of every tissue in one patient."""
    means = np.full(256, -1000, np.float32)
    common = rng.standard_normal()
    for kind, (plain, enhanced, spread, _) in TISSUE_HU.items():
        own = 0.5 * common + 0.87 * rng.standard_normal()
        share = 0.45 + 0.55 * min(enhancement, 1.0)  # without contrast medium patients differ less
        means[kind] = plain + enhancement * (enhanced - plain) + share * spread * np.clip(own, -2, 2)
    means[Tissue.AIR] = -1000
    means[Tissue.MEDULLA_L] = means[Tissue.MEDULLA_R]
    means[Tissue.KIDNEY_L] = means[Tissue.KIDNEY_R]
    means[Tissue.GUARD] = means[Tissue.CAVITY]
    return means

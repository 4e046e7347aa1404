"""One labelled, CT-like volume of the abdomen from one number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .anatomy import Tissue
from .bowel import paint_bowel
from .canvas import Axis, Box, Canvas
from .case import Patient, draw_patient
from .organs import (
    paint_adrenals,
    paint_gallbladder,
    paint_kidneys,
    paint_liver,
    paint_spleen,
    paint_stomach,
    settle_diaphragm,
)
from .render import Noise, majority_label, render_hu, tissue_means
from .skeleton import paint_skeleton
from .torso import Torso, paint_back_muscles, paint_torso
from .vessels import paint_branches, paint_great_vessels, paint_pancreas, paint_portal

ORGAN_BOTTOM, ORGAN_TOP = -110.0, 140.0  # mm: fields are computed over this range even where the image is shorter


class Phantom(NamedTuple):
    """A generated CT volume with its labels.

    Args:
        image: Intensities in HU, int16, shape (X, Y, Z), axes to the right, the front and the head.
        label: BTCV label ids 0 to 13, uint8, same shape.
        affine: Voxel to world matrix in mm, shape (4, 4).
        tissue: Tissue id (see `anatomy.Tissue`) at every voxel's centre, uint8, same shape.
        info: What was drawn: seed, enhancement, noise, missing organs, wanted volumes in mL. JSON types only.
    """

    image: np.ndarray
    label: np.ndarray
    affine: np.ndarray
    tissue: np.ndarray
    info: dict[str, Any]


def generate_phantom(
    seed: int,
    *,
    spacing: Sequence[float] = (5.0, 5.0, 5.0),
    extent: Sequence[float] = (360.0, 280.0, 240.0),
    enhanced: bool | float | None = None,
    noise: Noise | float | None = None,
    missing: Sequence[int] | None = None,
) -> Phantom:
    """Generate one labelled abdominal CT.

    The anatomy depends on the seed alone; spacing, extent, noise and enhancement only change how it is scanned.

    Args:
        seed: Number of the patient, 0 or larger.
        spacing: Voxel size along x, y, z in mm, 0.4 to 10.
        extent: Field of view along x, y, z in mm; rounded to whole voxels.
        enhanced: Amount of contrast medium: False or 0 is none, True or 1 the portal-venous phase; None draws it.
        noise: Noise of the finished image, or its standard deviation in HU; None draws 8 to 17 HU.
        missing: Label ids of organs that are absent, of 2, 3 and 4; None draws them, () keeps all.

    Returns:
        The phantom.

    Raises:
        ValueError: If an argument is out of range.
    """
    check_arguments(seed, spacing, extent, missing)
    streams = [np.random.default_rng([seed, number]) for number in range(5)]
    patient = draw_patient(streams[0], enhanced=enhanced, missing=missing)
    jitter = streams[3].uniform(-1, 1, 3) * (6, 5, 8)
    axes, blocks, crop = _axes(spacing, extent, jitter)
    canvas = Canvas(axes, streams[1])
    _paint(canvas, patient, streams[1])
    fine = canvas.fine[crop]
    centres = [_centres(count, step, start) for count, step, start in _grid(spacing, extent, jitter)]
    means = tissue_means(streams[2], patient.enhancement)
    image = render_hu(fine, blocks, centres, means=means, rng=streams[2])
    scanner = (
        noise if isinstance(noise, Noise) else Noise(float(streams[3].uniform(8, 17) if noise is None else noise))
    )
    image += scanner.draw(streams[4], image.shape, spacing)
    label = majority_label(fine, blocks)
    middle = tuple(slice(block // 2, None, block) for block in blocks)
    affine = np.diag([*map(float, spacing), 1.0])
    affine[:3, 3] = [axis[0] for axis in centres]
    info = {
        'seed': int(seed),
        'enhancement': round(patient.enhancement, 3),
        'noise_sd': round(scanner.sd, 2),
        'size': round(patient.size, 3),
        'missing': list(patient.missing),
        'wanted_ml': {str(k): round(v, 1) for k, v in patient.volumes.items() if k not in patient.missing},
    }
    values = np.clip(np.rint(image), -1024, 3071).astype(np.int16)
    return Phantom(values, label, affine, np.ascontiguousarray(fine[middle]), info)


def check_arguments(
    seed: int, spacing: Sequence[float], extent: Sequence[float], missing: Sequence[int] | None = None
) -> None:
    """Refuse arguments of `generate_phantom` that cannot give an abdomen.

    Raises:
        ValueError: An argument is out of range.
    """
    if seed < 0:
        raise ValueError(f'seed must be 0 or larger, got {seed}')
    if len(spacing) != 3 or not all(0.4 <= step <= 10 for step in spacing):
        raise ValueError(f'spacing must be three voxel sizes of 0.4 to 10 mm, got {tuple(spacing)}')
    if len(extent) != 3 or not all(size >= 8 * step for size, step in zip(extent, spacing, strict=True)):
        raise ValueError(f'extent must be three lengths of at least 8 voxels each, in mm, got {tuple(extent)}')
    if missing is not None and not set(missing) <= {2, 3, 4}:
        raise ValueError(f'missing may name the label ids 2, 3 (kidneys) and 4 (gallbladder), got {tuple(missing)}')


def _grid(spacing: Sequence[float], extent: Sequence[float], jitter: np.ndarray) -> list[tuple[int, float, float]]:
    """Voxel count, voxel size and first centre (mm) of each output axis; z ends near the top of the liver."""
    grid = []
    for step, size, middle in zip(spacing, extent, jitter + np.array([0, 27, 0]), strict=True):
        count = round(size / step)
        grid.append((count, float(step), middle - (count - 1) / 2 * step))
    count, step, _ = grid[2]
    top = 132 + float(jitter[2]) + max(0.0, (count * step - 240) * 0.3)
    grid[2] = (count, step, top - (count - 1) * step)
    return grid


def _centres(count: int, step: float, start: float) -> np.ndarray:
    """Voxel centres in mm."""
    return (start + step * np.arange(count)).astype(np.float32)


def _axes(
    spacing: Sequence[float], extent: Sequence[float], jitter: np.ndarray
) -> tuple[list[Axis], tuple[int, int, int], Box]:
    """Axes of the canvas, painted voxels per output voxel, and the part of the canvas that the image shows."""
    axes, blocks, crop = [], [], []
    for number, (count, step, start) in enumerate(_grid(spacing, extent, jitter)):
        block = 1 if step < 1.2 else 2 if step < 6.5 else int(np.ceil(step / 3))
        below = above = 0
        if number == 2:  # organ volumes are exact only if the organs are whole
            below = max(0, int(np.ceil((start - ORGAN_BOTTOM) / step)))
            above = max(0, int(np.ceil((ORGAN_TOP - start) / step)) - count)
        crop.append(slice(below * block, (below + count) * block))
        merge = max(1, int(1.6 * block / step))
        total = -(-(count + below + above) * block // merge) * merge
        fine_step = step / block
        first = start - below * step - step / 2
        paint = (first + fine_step * (np.arange(total) + 0.5)).astype(np.float32)
        field = paint.reshape(-1, merge).mean(axis=1)
        axes.append(Axis(field, paint))
        blocks.append(block)
    return axes, (blocks[0], blocks[1], blocks[2]), (crop[0], crop[1], crop[2])


def _paint(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> Torso:
    """Paint a whole patient; the order settles who gives way to whom."""
    parts = rng.spawn(11)
    torso = paint_torso(canvas, patient, parts[0])
    paint_skeleton(canvas, torso, parts[1])
    paint_back_muscles(canvas, torso)
    paint_great_vessels(canvas, patient, torso, parts[2])
    paint_kidneys(canvas, patient, parts[3])
    paint_adrenals(canvas, patient)
    paint_portal(canvas, patient, parts[4])
    paint_gallbladder(canvas, patient, parts[10])
    paint_pancreas(canvas, patient, parts[5])
    paint_spleen(canvas, patient, torso, parts[6])
    paint_stomach(canvas, patient, parts[7])
    paint_liver(canvas, patient, torso, parts[8])
    settle_diaphragm(canvas, torso)
    paint_branches(canvas, patient)
    paint_bowel(canvas, patient, parts[9])
    canvas.paint(Tissue.CAVITY, np.ones((1, 1, 1), np.float32), canvas.whole, over=(Tissue.GUARD,))
    return torso

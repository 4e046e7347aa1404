"""Bowel and mesenteric vessels: the clutter between the organs."""

from __future__ import annotations

import numpy as np

from .anatomy import T
from .canvas import Canvas, tube_field
from .case import Patient
from .fields import resample_curve, vector_sd

COLON = (
    (88, 48, -130),
    (98, 34, -75),
    (94, 44, -25),
    (82, 76, -22),
    (45, 104, -28),
    (0, 116, -34),
    (-45, 112, -10),
    (-88, 76, 22),
    (-112, 34, 34),
    (-110, 12, -10),
    (-108, 12, -70),
    (-98, 30, -130),
)


def paint_bowel(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> None:
    """Paint colon, small bowel and mesenteric vessels in the cavity that is still free.

    Args:
        canvas: Where to paint.
        patient: Who is painted.
        rng: Source of the course of every loop.
    """
    _paint_colon(canvas, patient, rng)
    for _ in range(30):
        _paint_loop(canvas, patient, rng)
    root = np.array([0, 52, -10]) * patient.scale
    for _ in range(56):
        end = np.array([rng.uniform(-95, 95), rng.uniform(40, 118), rng.uniform(-115, 60)]) * patient.scale
        middle = (root + end) / 2 + vector_sd(rng, (10, 10, 10))
        radius = rng.uniform(1.0, 2.2)
        curve = resample_curve(np.array([(*root, radius), (*middle, radius), (*end, 0.8)]), 14.0)
        field, box = tube_field(canvas, curve, margin=3.0)
        canvas.paint(T.VESSEL, field, box, over=(T.CAVITY, T.GUARD))


def _paint_colon(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> None:
    """Paint the colon round the cavity, with haustra, stool and gas on top."""
    points = np.array([(*point, 0) for point in COLON], float)
    points[:, :3] *= patient.scale
    points[:, :3] += np.stack([vector_sd(rng, (7, 8, 9)) for _ in points])
    for bend in (2, 3):  # the right flexure lies under the liver
        edge = canvas.nearest(T.LIVER, points[bend, :3], canvas.box(points[bend, :3] - 70, points[bend, :3] + 70))
        points[bend, :3] = 0.75 * edge + 0.25 * points[bend, :3]
    points[:, 3] = rng.uniform(15, 22) * np.exp(0.15 * rng.standard_normal(len(points)))
    curve = resample_curve(points, 6.0)
    curve[:, 3] = np.clip(curve[:, 3], 9, 27) * (1 + 0.14 * np.sin(np.arange(len(curve)) * 6.0 / 26 * 2 * np.pi))
    _paint_hollow(canvas, curve, T.COLON_CONTENT, gas=0.6, rng=rng)


def _paint_loop(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> None:
    """Paint one loop of small bowel."""
    place = np.array([rng.uniform(-85, 85), rng.uniform(35, 108), rng.uniform(-115, 5)]) * patient.scale
    direction = rng.standard_normal(3)
    points = []
    for _ in range(5):
        points.append((*place, rng.uniform(9, 13)))
        direction = direction + 0.9 * rng.standard_normal(3)
        place = place + 24 * direction / np.linalg.norm(direction)
    _paint_hollow(canvas, resample_curve(np.array(points), 8.0), T.BOWEL_CONTENT, gas=0.15, rng=rng)


def _paint_hollow(canvas: Canvas, curve: np.ndarray, content: T, *, gas: float, rng: np.random.Generator) -> None:
    """Paint a tube with a wall, content, and in a share `gas` of its length gas on top of the content."""
    field, box = tube_field(canvas, curve, margin=4.0)
    mask = canvas.paint(T.BOWEL_WALL, field, box, over=(T.CAVITY,))
    inner = field - np.float32(rng.uniform(1.8, 3.0))
    # A loop runs through others that were painted before; the new mask limits its lumen.
    canvas.paint(content, np.where(mask, inner, np.minimum(inner, -0.3)), box, over=(T.BOWEL_WALL,))
    pieces = np.array_split(curve, max(1, len(curve) // 7))
    for piece in pieces:
        if len(piece) > 1 and rng.random() < gas:
            top = piece.copy()
            top[:, 1] += 0.45 * piece[:, 3]
            top[:, 3] = 0.62 * piece[:, 3] - 1
            bubble, part = tube_field(canvas, top, margin=4.0)
            canvas.paint(T.BOWEL_GAS, bubble, part, over=(content,))

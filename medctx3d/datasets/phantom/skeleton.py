"""Spine, ribs and pelvis."""

from __future__ import annotations

import numpy as np

from .anatomy import T
from .canvas import Canvas, tube_field
from .fields import ellipsoid_distance, resample_curve
from .torso import SOFT, Body, Torso

LEVELS = (-141, -107, -72, -35, 0, 34, 65, 96, 125, 154, 183, 212)  # centres of the bodies S1 to T6, mm
BONE_OVER = (*SOFT, T.LUNG, T.DIAPHRAGM, T.MEDIASTINUM)
RIBS: dict[
    int, tuple[tuple[float, float], tuple[float, float], float, float]
] = {  # (y, z) where a rib passes the side and the front, depth under the skin (mm), z of its vertebra
    12: ((-62, 48), (-50, 15), 42, 65),
    11: ((-75, 76), (-16, -1), 26, 96),
    10: ((-52, 76), (26, 10), 19, 125),
    9: ((-4, 76), (63, 16), 18, 154),
    8: ((0, 106), (90, 30), 18, 183),
    7: ((5, 137), (118, 55), 18, 212),
    6: ((5, 168), (120, 90), 18, 240),
}


def paint_skeleton(canvas: Canvas, torso: Torso, rng: np.random.Generator) -> None:
    """Paint spine, ribs and the upper pelvis over soft tissue.

    Args:
        canvas: Where to paint.
        torso: Outline and spine curve.
        rng: Source of small differences between ribs.
    """
    _paint_spine(canvas, torso.body)
    for number in RIBS:
        for side in (1, -1):
            _paint_rib(canvas, torso.body, number, side, rng)
    _paint_pelvis(canvas, torso.body)


def _paint_spine(canvas: Canvas, body: Body) -> None:
    """Paint vertebrae with shell and core, discs and the canal."""
    box = canvas.box((-48, -115, -400), (48, 70, 400))
    x, y, z = canvas.at(box)
    y = y - body.spine_y(z)
    levels = np.array(LEVELS) * body.z_scale
    edges = (levels[1:] + levels[:-1]) / 2
    offset = z - levels[np.searchsorted(edges, z)].astype(np.float32)
    lower = np.clip((65 - z) / 140, 0, 1)
    waist = 1.6 * np.clip(1 - np.square(offset / 12), 0, 1)
    wide, deep = 21.5 + 4 * lower, 16 + 2 * lower
    oval = (1 - np.sqrt(np.square(x / wide) + np.square(y / deep))) * 17 - waist
    height = np.float32(14.0) - np.abs(offset)
    core = np.minimum(oval, height)
    ring = np.sqrt(np.square(x) + np.square(y + 26))
    arch = np.minimum(np.minimum(13.0 - np.abs(x) * 0.15 - ring, 11 - np.abs(offset)), -12 - y)
    pedicle = np.minimum(np.minimum(5 - np.abs(np.abs(x) - 12), 7 - np.abs(offset - 4)), 5 + y + 22)
    pedicle = np.minimum(pedicle, -10 - y)
    spinous = np.minimum(3.4 - np.abs(x), np.minimum(-34 - y, y + 67))
    spinous = np.minimum(spinous, 9 - np.abs(offset + 7 + 0.15 * (y + 40)))
    facets = 8 - np.sqrt(np.square(np.abs(x) - 17) + np.square(y + 32) + 0.35 * np.square(np.abs(offset) - 17))
    reach = 38 - 10 * np.clip((z - 50) / 20, 0, 1)
    transverse = np.minimum(reach - np.abs(x), 4.2 - np.sqrt(np.square(y + 27) + np.square(offset - 3)))
    bone = np.maximum.reduce([core, arch, pedicle, spinous, facets, transverse]).astype(np.float32)
    canvas.paint(T.DISC, (oval - 0.5).astype(np.float32), box, over=BONE_OVER)
    canvas.paint(T.CORTICAL_BONE, bone, box, over=(*BONE_OVER, T.DISC))
    canvas.paint(T.SPONGY_BONE, bone - np.float32(1.3), box, over=(T.CORTICAL_BONE,))
    canvas.paint(T.CANAL, (8 - ring).astype(np.float32), box, over=(*BONE_OVER, T.CORTICAL_BONE, T.SPONGY_BONE))


def _paint_rib(canvas: Canvas, body: Body, number: int, side: int, rng: np.random.Generator) -> None:
    """Paint one rib from its vertebra round the body; ribs 6 to 10 go on as cartilage."""
    (y1, z1), (y2, z2), depth, level = RIBS[number]
    jitter = rng.normal(0, 2.0, 3)
    level = level * body.z_scale
    scale = body.half_depth / 124
    points = [(22.0, float(body.spine_y(level)) - 22, level + 4), (42.0, float(body.spine_y(level)) - 42, level - 2)]
    knees = [(y1 * scale, z1), (y2 * scale, z2)]
    if number < 10:
        knees.insert(0, (-58 * scale, 0.72 * level + 0.28 * z1))
    for y, z in knees:
        points.append((*_under_skin(body, y, z, depth + 3.5 + 0.5 * jitter[0]), z + jitter[1]))
    curve = resample_curve(np.array([(side * px, py, pz, 4.6) for px, py, pz in points]), 7.0)
    field, box = tube_field(canvas, curve, margin=4.0)
    canvas.paint(T.CORTICAL_BONE, field, box, over=BONE_OVER)
    canvas.paint(T.SPONGY_BONE, field - np.float32(1.3), box, over=(T.CORTICAL_BONE,))
    if number <= 9:
        px, py, pz = points[-1]
        end_y = body.centre_y + 0.93 * body.half_depth - 22
        front = [(px, py, pz), (0.62 * px, 0.5 * (py + end_y), pz + 2), (0.25 * px, end_y - 6, max(pz + 35, 100))]
        curve = resample_curve(np.array([(side * a, b, c, 4.8) for a, b, c in front]), 7.0)
        field, box = tube_field(canvas, curve, margin=4.0)
        canvas.paint(T.CARTILAGE, field, box, over=(T.FAT, T.MUSCLE, T.CAVITY))


def _under_skin(body: Body, y: float, z: float, depth: float) -> tuple[float, float]:
    """Point (x, y) on the right side at a given depth (mm) under the skin whose y is nearest to the one asked for."""
    angles = np.linspace(0.02, np.pi - 0.02, 181)
    ux, uy = np.sin(angles), np.cos(angles)
    radius = body.skin_radius(ux, uy, z) - depth
    best = int(np.argmin(np.abs(radius * uy + body.centre_y - y)))
    return float(radius[best] * ux[best]), float(radius[best] * uy[best] + body.centre_y)


def _paint_pelvis(canvas: Canvas, body: Body) -> None:
    """Paint sacrum and iliac wings where the field of view reaches them."""
    if canvas.axes[2].field[0] > -95:
        return
    box = canvas.box((-170, -110, -400), (170, 130, -85))
    x, y, z = canvas.at(box)
    shape = np.diag([52.0**2, 74.0**2, 92.0**2])
    shell = ellipsoid_distance((np.abs(x), y, z), (72, 24 + 0.5 * body.spine_shift, -192), shape)
    wing = np.minimum(5 - 60 * np.abs(shell - 1), 0.4 * (np.abs(x) - 40 - 0.55 * (y + 30)))
    wing = np.minimum(wing, np.minimum(-98 - z, 90 - np.abs(y - 10)))
    canvas.paint(T.CORTICAL_BONE, wing.astype(np.float32), box, over=SOFT)
    canvas.paint(T.SPONGY_BONE, (wing - 1.8).astype(np.float32), box, over=(T.CORTICAL_BONE,))
    spine = body.spine_y(z)
    sacrum = 14 * (1 - ellipsoid_distance((x, y - spine, z), (0, -14, -175), np.diag([56.0**2, 24.0**2, 42.0**2])))
    canvas.paint(T.CORTICAL_BONE, sacrum.astype(np.float32), box, over=SOFT)
    canvas.paint(T.SPONGY_BONE, (sacrum - 1.8).astype(np.float32), box, over=(T.CORTICAL_BONE,))

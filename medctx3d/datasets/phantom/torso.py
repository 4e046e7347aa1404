"""The body around the organs: outline, fat, muscle, lungs, heart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .anatomy import T
from .canvas import Canvas
from .case import Patient
from .fields import ellipsoid_distance, smooth_noise

EXPONENT = 2.25
SPINE_Z = np.array([-200, -140, -107, -72, -35, 0, 34, 65, 96, 125, 154, 183, 240], float)
SPINE_Y = np.array([-36, -8, 5, 14, 15, 7, -6, -15, -24, -30, -34, -37, -40], float)
SOFT = (T.SKIN, T.FAT, T.CAVITY, T.MUSCLE)


class Body(NamedTuple):
    """Outline of one patient.

    Args:
        half_width: Half the width of the skin outline at the level of the kidneys, mm.
        half_depth: Half its depth, mm.
        centre_y: Its centre, mm.
        fat: Relative thickness of the fat under the skin.
        spine_shift: Shift of the spine to the front, mm.
        z_scale: Stretch of the spine along z.
    """

    half_width: float
    half_depth: float
    centre_y: float
    fat: float
    spine_shift: float
    z_scale: float

    def spine_y(self, z: np.ndarray | float) -> np.ndarray:
        """Centre of the vertebral bodies (mm) at the heights z (mm)."""
        return np.interp(np.asarray(z) / self.z_scale, SPINE_Z, SPINE_Y).astype(np.float32) + self.spine_shift

    def skin_radius(self, ux: np.ndarray, uy: np.ndarray, z: np.ndarray | float) -> np.ndarray:
        """Distance (mm) from the axis to the skin along the unit direction (ux, uy) at height z (mm)."""
        z = np.asarray(z, np.float32)
        wide = self.half_width * (1 - 0.03 * np.exp(-(((z + 25) / 45) ** 2)) + 0.05 / (1 + np.exp((z + 120) / 18)))
        deep = self.half_depth * (1 + 0.03 * np.exp(-(((z + 20) / 60) ** 2)) - 0.06 / (1 + np.exp((90 - z) / 25)))
        total = (np.abs(ux) / wide) ** EXPONENT + (np.abs(uy) / deep) ** EXPONENT
        return (total ** (-1 / EXPONENT)).astype(np.float32)


class Torso(NamedTuple):
    """Fields that later organs lean on.

    Args:
        body: Outline.
        cavity: Distance (mm) inside the abdominal wall, shape (X, Y, Z).
        below_dome: Distance (mm) below the diaphragm, shape (X, Y, Z).
        skin: Depth (mm) under the skin, shape (X, Y, Z).
    """

    body: Body
    cavity: np.ndarray
    below_dome: np.ndarray
    skin: np.ndarray


def make_body(patient: Patient) -> Body:
    """Outline of a patient: the cavity follows body size, the fat comes on top of it."""
    return Body(
        half_width=147 * float(patient.scale[0]) + 16 * patient.fat,
        half_depth=106 * float(patient.scale[1]) + 22 * patient.fat,
        centre_y=25 * float(patient.scale[1]),
        fat=patient.fat,
        spine_shift=patient.spine_shift,
        z_scale=float(patient.scale[2]),
    )


def paint_torso(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> Torso:
    """Paint skin, fat, wall muscle, the abdominal cavity, lungs and heart.

    Args:
        canvas: Where to paint.
        patient: Who is painted.
        rng: Source of the irregularities.

    Returns:
        Fields that later organs lean on.
    """
    body = make_body(patient)
    x, y, z = canvas.calm(0.35)
    y = y - np.float32(body.centre_y)
    radius = np.sqrt(x * x + y * y) + np.float32(1e-3)
    front = y / radius
    side = np.abs(x) / radius
    groove = 9 * np.exp(-((x / 14) ** 2)) * (front < 0)
    skin = body.skin_radius(x / radius, front, z) - radius - groove
    bumps = smooth_noise(rng, [axis.field for axis in canvas.axes], 45.0)
    fat = _fat_thickness(front, side, z, body.fat) * (1 + 0.10 * bumps)
    ribbed = 1 / (1 + np.exp((35 - z) / 12))  # where ribs carry the wall it is thinner
    muscle = (12.5 - 3 * np.maximum(front, 0) ** 3 + 8 * np.maximum(-front, 0) ** 2) * (1 - 0.4 * ribbed)
    cavity = (skin - fat - muscle).astype(np.float32)
    everything, box = (T.AIR,), canvas.whole
    canvas.paint(T.SKIN, skin, box, over=everything)
    canvas.paint(T.FAT, skin - np.float32(1.7), box, over=(T.SKIN,))
    canvas.paint(T.MUSCLE, skin - fat, box, over=(T.FAT,))
    canvas.paint(T.FAT, cavity, box, over=(T.MUSCLE,))
    behind = canvas.coordinates[1] - body.spine_y(z) + 36 + 40 * np.clip(np.abs(x) / 60 - 1, 0, 1)
    linea_alba = np.minimum(skin - fat, 3.0 - np.abs(x)) * (front > 0.5)
    canvas.paint(T.FAT, linea_alba.astype(np.float32), box, over=(T.MUSCLE,))
    canvas.paint(T.CAVITY, np.minimum(cavity, behind), box, over=(T.FAT,))
    below = _dome(canvas, patient)
    canvas.paint(T.DIAPHRAGM, 3.5 - below, box, over=(T.CAVITY,))
    canvas.paint(T.LUNG, -below, box, over=(T.DIAPHRAGM, T.CAVITY))
    _paint_chest(canvas, body)
    _paint_table(canvas, body)
    return Torso(body, np.minimum(cavity, behind), below, skin)


def _fat_thickness(front: np.ndarray, side: np.ndarray, z: np.ndarray, fat: float) -> np.ndarray:
    """Thickness (mm) of the fat under the skin by direction and height."""
    ahead, back = np.maximum(front, 0) ** 2, np.maximum(-front, 0) ** 2
    low = 1 / (1 + np.exp((z + 45) / 15))
    ribbed = 1 / (1 + np.exp((35 - z) / 12))
    back = back * (1 - 0.7 * ribbed)
    love_handle = 22 * low * side * np.maximum(-front, 0) * 2
    return np.float32(fat) * (15 - 4 * ribbed + ahead * (6 + 6 * low) + 11 * back + love_handle)


def _dome(canvas: Canvas, patient: Patient) -> np.ndarray:
    """Distance (mm) below the two domes of the diaphragm, negative above them."""
    x, y, z = canvas.coordinates
    sx, sy, sz = patient.scale
    height = np.float32(-1e3)
    for top_x, top_y, top_z, lateral in ((72, 28, 134, 1), (-78, 18, 120, -1)):
        dx = (x - top_x * sx) * lateral
        dy = y - top_y * sy
        wide = np.where(dx > 0, 84, 140) * sx
        deep = np.where(dy > 0, 108, 83) * sy
        fall = (dx / wide) ** 2 + (dy / deep) ** 2
        height = np.maximum(height, top_z * sz + 11 * patient.mode_a - 85 * fall).astype(np.float32)
    # The surface is steep near the wall: divide by a typical slope to make the height a distance.
    return ((height - z) * np.float32(0.75)).astype(np.float32)


def _paint_chest(canvas: Canvas, body: Body) -> None:
    """Paint the mediastinum and the heart between the lungs."""
    x, y, z = canvas.coordinates
    spine = body.spine_y(z)
    middle = 24 - np.abs(x + 4) - 0.012 * np.square(y - spine - 30)
    canvas.paint(T.MEDIASTINUM, middle.astype(np.float32), canvas.whole, over=(T.LUNG,))
    box = canvas.box((-110, -20, 95), (70, 170, 240))
    heart = 1 - ellipsoid_distance(
        canvas.at(box), (-24, body.centre_y + 48, 172), np.array([[3400, 300, 0], [300, 2000, 0], [0, 0, 2700]])
    )
    canvas.paint(T.MEDIASTINUM, 30 * heart + 5, box, over=(T.LUNG,))
    canvas.paint(T.HEART, heart, box, over=(T.LUNG, T.MEDIASTINUM))


def _paint_table(canvas: Canvas, body: Body) -> None:
    """Paint the shell of the scanner table behind the patient."""
    x, y, _ = np.meshgrid(*(axis.field for axis in canvas.axes), indexing='ij', sparse=True)
    back = body.centre_y - 1.02 * body.half_depth - 4
    for gap in (0, 24):
        curve = back - gap + np.square(x) / 900
        shell = 1.6 - np.abs(y - curve)
        shell = np.broadcast_to(shell.astype(np.float32), canvas.coarse.shape)
        canvas.paint(T.TABLE, shell, canvas.whole, over=(T.AIR,))


def paint_back_muscles(canvas: Canvas, torso: Torso) -> None:
    """Paint the muscles beside the spine: erector, quadratus lumborum and psoas."""
    body = torso.body
    box = canvas.box((-110, -130, -400), (110, 80, 400))
    x, y, z = canvas.at(box)
    y = y - body.spine_y(z)
    lumbar = 1 / (1 + np.exp((z - 55) / 14))
    erector = 1 - np.sqrt(
        np.square((np.abs(x) - 35) / (27 + 9 * lumbar)) + np.square((y + 58 + 2 * lumbar) / (18 + 5 * lumbar))
    )
    inside = (T.SKIN, T.FAT, T.CAVITY, T.MUSCLE)
    canvas.paint(T.MUSCLE, np.minimum(erector, 0.1 * (torso.skin[box] - 6)), box, over=inside)
    quadratus = 1 - np.sqrt(np.square((np.abs(x) - 66) / 22) + np.square((y + 40 - 0.1 * (np.abs(x) - 66)) / 10))
    canvas.paint(T.MUSCLE, np.minimum(quadratus, 0.04 * (42 - z)), box, over=(T.FAT, T.CAVITY))
    low = np.clip((30 - z) / 120, 0, 1.2)
    psoas = 1 - np.sqrt(
        np.square((np.abs(x) - 33 - 13 * low) / (7 + 9 * low)) + np.square((y + 10 - 10 * low) / (13 + 8 * low))
    )
    canvas.paint(T.MUSCLE, np.minimum(psoas, 0.05 * (32 - z)), box, over=(T.FAT, T.CAVITY))
    crura = 1 - np.sqrt(np.square((np.abs(x + 6) - 15) / 4) + np.square((y - 18) / 15))
    canvas.paint(T.DIAPHRAGM, np.minimum(crura, 0.05 * np.minimum(z + 30, 100 - z)), box, over=(T.CAVITY,))

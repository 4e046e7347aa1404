"""Tubes of the upper abdomen: aorta, vena cava, esophagus, portal and splenic vein, pancreas, duodenum."""

from __future__ import annotations

import numpy as np

from .anatomy import ORGANS, TUBES, T
from .canvas import Canvas, tube_field
from .case import Patient
from .fields import resample_curve, smooth_noise, vector_sd
from .torso import Torso

OPEN = (T.CAVITY, T.GUARD)
CHEST = (T.LUNG, T.MEDIASTINUM, T.DIAPHRAGM)


def organ_shift(patient: Patient, organ: int) -> np.ndarray:
    """Shift (mm) of an organ against its mean place in a patient of this size."""
    return patient.centres[organ] - np.array(ORGANS[organ].centre) * patient.scale


def placed_tube(patient: Patient, name: str, shift: np.ndarray, rng: np.random.Generator, wobble: float) -> np.ndarray:
    """Control points (P, 4) of a tube in this patient, each a little out of its mean place."""
    points = np.array(TUBES[name], float)
    points[:, :3] = points[:, :3] * patient.scale + shift
    points[:, :3] += np.stack([vector_sd(rng, (wobble, wobble, 0.5 * wobble)) for _ in points])
    return points


def paint_great_vessels(canvas: Canvas, patient: Patient, torso: Torso, rng: np.random.Generator) -> None:
    """Paint aorta, vena cava, esophagus and the vessels that leave them.

    Args:
        canvas: Where to paint.
        patient: Who is painted.
        torso: Outline and spine curve.
        rng: Source of individual course.
    """
    spine = np.array([0, 0.5 * patient.spine_shift, 0])
    aorta = placed_tube(patient, 'aorta', spine, rng, 2.0)
    aorta[:, 3] *= np.clip(patient.growth(8) ** 1.5, 0.8, 1.3)
    aorta[:, 1] = np.maximum(aorta[:, 1], torso.body.spine_y(aorta[:, 2]) + 17.5 + aorta[:, 3])
    ivc = placed_tube(patient, 'ivc', spine, rng, 2.0)
    ivc[:, 3] *= 1.05 * np.clip(patient.growth(9) ** 1.5, 0.88, 1.22)
    ivc[:, 0] = np.maximum(
        ivc[:, 0], np.interp(ivc[:, 2], aorta[:, 2], aorta[:, 0] + 0.9 * aorta[:, 3]) + ivc[:, 3] + 1
    )
    esophagus = placed_tube(patient, 'esophagus', spine, rng, 1.5)
    esophagus[:, 3] *= np.clip(patient.growth(5) ** 1.5, 0.75, 1.35)
    gap = np.interp(esophagus[:, 2], aorta[:, 2], aorta[:, 1] + aorta[:, 3]) + esophagus[:, 3] + 1
    esophagus[1:, 1] = np.maximum(esophagus[1:, 1], gap[1:])
    over = (*OPEN, *CHEST)
    for tissue, points, flat in ((T.AORTA, aorta, 1.0), (T.IVC, ivc, 1.25), (T.ESOPHAGUS, esophagus, 1.15)):
        field, box = tube_field(canvas, resample_curve(points, 9.0), flat=flat)
        canvas.paint(tissue, field, box, over=over)
        if tissue == T.AORTA:
            canvas.paint(T.GUARD, field + np.float32(6.5), box, over=(T.CAVITY,))
        if tissue == T.ESOPHAGUS:
            canvas.paint(T.ESOPHAGUS_LUMEN, field - np.float32(4.6), box, over=(T.ESOPHAGUS,))
    for trunk, radius in ((aorta, 5.5), (ivc, 7.0)):
        for side in (1, -1):
            start = trunk[0, :3] + np.array([0, 0, -2 - radius])
            bends = np.array([(0, 0, 0), (side * 22, -4, -36), (side * 46, -30, -90)])
            _vessel(canvas, start + bends, radius, T.ILIAC)


def _vessel(canvas: Canvas, points: np.ndarray, radius: float, tissue: T = T.VESSEL) -> None:
    """Paint an unlabelled vessel through the given points (P, 3) in mm."""
    curve = np.column_stack([points, np.full(len(points), radius)])
    field, box = tube_field(canvas, resample_curve(curve, 8.0), margin=4.0)
    canvas.paint(tissue, field, box, over=(*OPEN, T.SINUS_FAT))


def paint_branches(canvas: Canvas, patient: Patient) -> None:
    """Paint renal vessels and the superior mesenteric pair, which the labels leave out."""
    shift = np.array([0, 0.5 * patient.spine_shift, 0])
    for organ, side in ((2, 1), (3, -1)):
        hilum = patient.centres[organ] + np.array([-side * 10, 9, -2])
        bends = np.array([(side * -20, 6, 0), (0, 0, 0)]) + hilum
        _vessel(canvas, np.vstack([np.array([6.0 + side * 12, 32, 2]) + shift, bends]), 3.8)
        bends = np.array([(side * -18, -4, 4), (0, 0, 0)]) + hilum
        _vessel(canvas, np.vstack([np.array([-6.0 + side * 6, 24, 6]) + shift, bends]), 2.4)
    root = np.array([-4.0, 36, 14]) + shift
    artery = root + np.array([(0, 0, 0), (1, 14, -14), (4, 18, -45), (8, 24, -95)])
    _vessel(canvas, artery, 3.2)
    vein = organ_shift(patient, 11) + np.array([(6.0, 56, 24), (10, 54, 4), (10, 58, -26)])
    _vessel(canvas, np.vstack([vein, artery[-1] + np.array([12, 0, 0])]), 4.6)


def paint_portal(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> np.ndarray:
    """Paint portal and splenic vein as one organ of the drawn volume.

    Returns:
        Control points (P, 4) of the vein, mm.
    """
    shift = 0.7 * organ_shift(patient, 11) + 0.3 * organ_shift(patient, 10)
    points = placed_tube(patient, 'portal', shift, rng, 1.5)
    points[0, :3] = 0.35 * points[0, :3] + 0.65 * (patient.centres[1] + (20, 16, -6) * patient.scale)
    points[1, :3] = (points[0, :3] + points[2, :3]) / 2 + (0, 1, 2)
    reach = patient.centres[13]  # the vein crosses right in front of the left adrenal
    gland = canvas.nearest(T.ADRENAL_L, points[2, :3], canvas.box(reach - 45, reach + 45))
    points[2, :3] = gland + np.array([0, points[2, 3] - 1, 0])
    field, box = tube_field(canvas, resample_curve(points, 6.0), margin=10.0)
    trunk = points[-2]
    for end in ((22, 2, 22), (26, -16, 6), (-24, 18, 22)):
        tip = trunk[:3] + np.array(end) * (1 + 0.15 * rng.standard_normal(3))
        branch = np.array([trunk, (*(trunk[:3] + tip) / 2 + (0, 3, 0), 4.2), (*tip, 2.6)])
        part, part_box = tube_field(canvas, resample_curve(branch, 6.0), margin=10.0)
        field, box = _merge(canvas, (field, box), (part, part_box))
    canvas.grow(T.PORTAL, field, box, patient.volumes[10], over=OPEN)
    return points


def _merge(canvas: Canvas, first: tuple, second: tuple) -> tuple:
    """Union of two tube fields on the box that holds both."""
    whole = tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first[1], second[1], strict=True))
    field = np.full([part.stop - part.start for part in whole], -1e3, np.float32)
    for part, box in (first, second):
        view = field[tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, whole, strict=True))]
        np.maximum(view, part, out=view)
    return field, whole


def paint_pancreas(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> None:
    """Paint the pancreas, a flattened lobulated tube, and the duodenum round its head."""
    shift = organ_shift(patient, 11)
    points = placed_tube(patient, 'pancreas', shift, rng, 2.5)
    field, box = tube_field(canvas, resample_curve(points, 8.0), margin=12.0, flat=1.25)
    axes = [axis.field[part] for axis, part in zip(canvas.axes, box, strict=True)]
    lobules = smooth_noise(rng, axes, 9.0)
    field += np.float32(1.8) * lobules + np.float32(5) * canvas.closeness((T.PORTAL, T.ADRENAL_L), box, 3.0)
    duodenum = placed_tube(patient, 'duodenum', shift, rng, 2.5)
    duodenum[:, 3] *= 0.92
    neck = patient.centres[4] + (-8, -3, 0)  # the bulb leans on the gallbladder and with it on the liver
    duodenum[0, :3] = 0.6 * neck + 0.4 * duodenum[0, :3]
    loop, loop_box = tube_field(canvas, resample_curve(duodenum, 8.0))
    canvas.grow(T.PANCREAS, field, box, patient.volumes[11])
    canvas.paint(T.DUODENUM, loop, loop_box, over=OPEN)
    canvas.paint(T.BOWEL_CONTENT, loop - np.float32(3.5), loop_box, over=(T.DUODENUM,))

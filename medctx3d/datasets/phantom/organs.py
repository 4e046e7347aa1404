"""Solid organs: kidneys, adrenals, gallbladder, spleen, stomach, liver."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .anatomy import ORGANS, T
from .canvas import Box, Canvas, tube_field
from .case import Patient
from .fields import blob_union, covariance_matrix, ellipsoid_distance, resample_curve, smooth_noise, vector_sd
from .torso import Torso


def organ_blobs(
    canvas: Canvas, patient: Patient, organ: int, rng: np.random.Generator, *, shift: np.ndarray | float = 0.0
) -> tuple[np.ndarray, Box]:
    """Field of an organ made of ellipsoids in this patient's size, place and pose.

    Returns:
        Field on a box around the organ, and that box.
    """
    facts = ORGANS[organ]
    growth, turn, centre = patient.growth(organ), patient.turns[organ], patient.centres[organ] + shift
    wobble = 5.0 if organ in (1, 6, 7) else 2.0
    # What wall and neighbours take makes an organ rounder than its blobs.
    spread = {1: 1.15, 6: 1.17}.get(organ, 1.0)
    stretch = np.diag(growth * (1 if organ in (2, 3) else patient.scale / patient.scale.mean()) * np.ones(3))
    places, shapes = [], []
    for place, entries in facts.blobs:
        offset = spread * turn @ stretch @ (np.array(place) - np.array(facts.centre))
        places.append(centre + offset + vector_sd(rng, (wobble,) * 3, limit=1.5))
        form = turn @ stretch
        shapes.append(
            form
            @ covariance_matrix(entries)
            @ form.T
            * np.exp((0.05 if organ in (2, 3) else 0.1) * rng.standard_normal())
        )
    reach = np.array([2.0 * np.sqrt(np.diagonal(shape)) for shape in shapes])
    box = canvas.box(np.min(np.array(places) - reach, axis=0), np.max(np.array(places) + reach, axis=0))
    return blob_union(canvas.at(box), np.array(places), np.array(shapes)), box


def paint_kidneys(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> None:
    """Paint kidneys with a sinus open to the middle, cortex and medulla."""
    for organ, medulla, sinus_at in ((2, T.MEDULLA_R, (-10, 10, 0)), (3, T.MEDULLA_L, (9, 9, -4))):
        field, box = organ_blobs(canvas, patient, organ, rng)
        if organ in patient.missing:
            continue
        growth, at = patient.growth(organ), canvas.at(box)
        inner = patient.centres[organ] + np.array(sinus_at) * growth
        side = np.array([-1 if organ == 2 else 1, 0.6, 0])
        sinus = 1 - ellipsoid_distance(at, inner, np.diag(np.square(np.array([8, 8, 18]) * growth)))
        opening = 1 - ellipsoid_distance(at, inner + 12 * side, np.diag(np.square(np.array([12, 8, 14]) * growth)))
        hollow = np.minimum(np.maximum(sinus, opening), field + 0.15)
        canvas.paint(T.SINUS_FAT, hollow, box, over=(T.CAVITY,))
        canvas.grow(organ, field, box, patient.volumes[organ])
        axes = [axis.field[part] for axis, part in zip(canvas.axes, box, strict=True)]
        pyramids = field - np.float32(0.27) + np.float32(0.1) * smooth_noise(rng, axes, 9.0)
        canvas.paint(medulla, pyramids, box, over=(organ,))


def paint_adrenals(canvas: Canvas, patient: Patient) -> None:
    """Paint the adrenals: two thin plates that meet in a ridge at the front."""
    long_axes = {12: (0.03, -0.70, 0.72), 13: (-0.03, -0.61, 0.79)}
    normals = {12: (0.86, 0.39, 0.33), 13: (0.67, -0.62, -0.41)}
    for organ in (12, 13):
        along = patient.turns[organ] @ np.array(long_axes[organ])
        normal = patient.turns[organ] @ np.array(normals[organ])
        normal -= along * (along @ normal)
        normal /= np.linalg.norm(normal)
        forward = np.cross(along, normal)
        growth = patient.growth(organ)
        centre = patient.centres[organ] + 4 * forward
        if organ == 12:  # the right gland lies on the back of the vena cava
            vein = canvas.nearest(T.IVC, centre, canvas.box(centre - 40, centre + 40))
            gap = max(float(np.linalg.norm(vein - centre)), 1e-3)
            centre = centre + (vein - centre) * max(0.0, 1 - 8 * growth / gap)
        box = canvas.box(centre - 36 * growth - 4, centre + 36 * growth + 4)
        field = np.full([part.stop - part.start for part in box], -9, np.float32)
        for angle in (0.45, -0.45):
            limb = np.cos(angle) * forward + np.sin(angle) * normal
            flat = np.cross(along, limb)
            frame = np.stack([along, limb, flat], axis=1)
            shape = frame @ np.diag(np.square(np.array([19.0, 10.0, 2.7]) * growth)) @ frame.T
            field = np.maximum(field, 1 - ellipsoid_distance(canvas.at(box), centre - 8 * growth * limb, shape))
        pull = canvas.closeness((T.IVC,), box, 3.0) if organ == 12 else np.float32(0)
        canvas.grow(organ, (field + np.float32(1.5) * pull).astype(np.float32), box, patient.volumes[organ])


def paint_gallbladder(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> None:
    """Paint the gallbladder, unless it is missing."""
    field, box = organ_blobs(canvas, patient, 4, rng)
    if 4 not in patient.missing:
        canvas.grow(T.GALLBLADDER, field, box, patient.volumes[4])


def paint_spleen(canvas: Canvas, patient: Patient, torso: Torso, rng: np.random.Generator) -> None:
    """Paint the spleen against the wall."""
    field, box = organ_blobs(
        canvas, patient, 1, rng, shift=_to_wall(canvas, torso, patient.centres[1], 35 * patient.growth(1))
    )
    field += 0.2 * _wall_pull(torso, box) + 0.4 * canvas.closeness((T.PORTAL,), box, 8.0)
    canvas.grow(T.SPLEEN, field, box, patient.volumes[1])


def _to_wall(canvas: Canvas, torso: Torso, point: np.ndarray, wanted: float) -> np.ndarray:
    """Sideways shift (mm) that brings a point to the wanted distance (mm) from the abdominal wall."""
    voxel = tuple(
        int(np.clip(np.searchsorted(axis.field, place), 0, len(axis.field) - 1))
        for axis, place in zip(canvas.axes, point, strict=True)
    )
    outward = point - (0, torso.body.centre_y + 20, point[2])
    outward /= np.linalg.norm(outward)
    return outward * np.clip(torso.cavity[voxel] - wanted, -20, 30)


def _wall_pull(torso: Torso, box: Box) -> np.ndarray:
    """Attraction of the abdominal wall and the diaphragm: 1 at the wall, falling off over 22 mm."""
    distance = np.minimum(torso.cavity[box], torso.below_dome[box])
    return np.exp(-np.maximum(distance, 0) / np.float32(22))


def paint_stomach(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> None:
    """Paint the stomach, hollow, with fluid and a bubble of gas at the front."""
    fundus = patient.centres[7] + (np.array(ORGANS[7].blobs[0][0]) - ORGANS[7].centre) * patient.growth(7)
    spleen = canvas.nearest(T.SPLEEN, fundus, canvas.box(fundus - 90, fundus + 90))
    size = 26 * patient.growth(7)
    gap = float(np.linalg.norm(spleen - fundus)) - size
    field, box = organ_blobs(
        canvas, patient, 7, rng, shift=(spleen - fundus) * np.clip(0.8 * gap / (gap + size), 0, 1)
    )
    field += 1.8 * canvas.closeness((T.SPLEEN,), box, 16.0) + 0.8 * canvas.closeness(
        (T.PANCREAS, T.ESOPHAGUS), box, 8.0
    )
    mask = canvas.grow(T.STOMACH, field, box, patient.volumes[7])
    hollow = ndimage.gaussian_filter(mask.astype(np.float32), [3.0 / step for step in canvas.steps]) - np.float32(0.87)
    canvas.paint(T.STOMACH_CONTENT, hollow, box, over=(T.STOMACH,))
    lumen = canvas.free(box, (T.STOMACH_CONTENT,))
    if lumen.any():
        y = np.broadcast_to(canvas.axes[1].field[box[1]][None, :, None], lumen.shape)
        surface = np.quantile(y[lumen], 1 - rng.uniform(0.03, 0.45))
        canvas.paint(T.STOMACH_GAS, y - np.float32(surface), box, over=(T.STOMACH_CONTENT,))


def paint_liver(canvas: Canvas, patient: Patient, torso: Torso, rng: np.random.Generator) -> None:
    """Paint the liver into what the other organs leave, with hepatic veins and portal branches."""
    lobe = patient.centres[6] + (np.array(ORGANS[6].blobs[0][0]) - ORGANS[6].centre) * patient.scale
    field, box = organ_blobs(canvas, patient, 6, rng, shift=0.3 * _to_wall(canvas, torso, lobe, 38.0))
    x = canvas.at(box)[0]
    field += 0.28 * _wall_pull(torso, box) / (1 + np.exp((-20 - x) / 15))
    neighbours = (T.GALLBLADDER, T.IVC, T.PORTAL, T.ADRENAL_R, T.STOMACH)
    field += 0.6 * canvas.closeness(neighbours, box, 6.0)
    field += 1.0 * canvas.closeness((T.DUODENUM, T.GALLBLADDER, T.ADRENAL_R), box, 12.0)
    field = np.where(x < -75 * patient.scale[0], -2, field).astype(np.float32)
    canvas.grow(T.LIVER, field, box, patient.volumes[6])
    confluence = np.array([22.0, 38, 108]) * patient.scale
    centre = patient.centres[6]
    growth = patient.growth(6)
    for tip in ((45, -20, 10), (10, 25, -10), (-45, 30, 0), (35, 10, -45), (60, 20, 25)):
        end = centre + growth * (np.array(tip) + vector_sd(rng, (8, 8, 8)))
        middle = (confluence + end) / 2 + vector_sd(rng, (5, 5, 5))
        _inside_liver(canvas, T.LIVER_VEIN, [(*confluence, 4.5), (*middle, 3.4), (*end, 1.5)])
    hilum = np.array([46.0, 57, 54]) + 0.5 * (centre - np.array(ORGANS[6].centre))
    for tip in ((35, -20, 20), (35, 10, -25), (20, -35, 0), (-40, 25, 20), (40, 30, 25), (25, -10, 45)):
        end = hilum + growth * (np.array(tip) + vector_sd(rng, (7, 7, 7)))
        middle = (hilum + end) / 2 + vector_sd(rng, (4, 4, 4))
        _inside_liver(canvas, T.LIVER_PORTAL, [(*hilum, 3.8), (*middle, 2.6), (*end, 1.2)])


def _inside_liver(canvas: Canvas, tissue: T, points: list[tuple[float, ...]]) -> None:
    """Paint a vessel where the liver already is."""
    field, box = tube_field(canvas, resample_curve(np.array(points), 9.0), margin=3.0)
    canvas.paint(tissue, field, box, over=(T.LIVER,))


def settle_diaphragm(canvas: Canvas, torso: Torso) -> None:
    """Let the lungs come down on liver, spleen and stomach: no fat stays between them and the diaphragm."""
    solid = canvas.free(canvas.whole, (T.LIVER, T.SPLEEN, T.STOMACH))
    z = canvas.axes[2].field
    top = np.where(solid.any(axis=2), z[solid.shape[2] - 1 - solid[:, :, ::-1].argmax(axis=2)], np.float32(1e3))
    top = ndimage.gaussian_filter(ndimage.grey_erosion(top, 3), [4.0 / step for step in canvas.steps[:2]])
    above = canvas.coordinates[2] - top[:, :, None]
    lung = np.minimum(above - 5, 18 - torso.below_dome)
    canvas.paint(T.DIAPHRAGM, lung + np.float32(3.5), canvas.whole, over=(T.CAVITY,))
    canvas.paint(T.LUNG, lung, canvas.whole, over=(T.DIAPHRAGM, T.CAVITY))

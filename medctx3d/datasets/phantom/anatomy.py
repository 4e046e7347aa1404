"""Measured anatomy: sizes, places and intensities that every phantom is drawn from.

Positions are in mm in the frame of the two kidneys: x grows to the patient's right, y to the front, z to the head, and
the origin is the midpoint of the kidney centroids. Volumes are in mL, intensities in HU.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Tissue(IntEnum):
    """What a voxel consists of. Ids 1 to 13 are the label ids of BTCV."""

    AIR = 0
    SPLEEN = 1
    KIDNEY_R = 2
    KIDNEY_L = 3
    GALLBLADDER = 4
    ESOPHAGUS = 5
    LIVER = 6
    STOMACH = 7
    AORTA = 8
    IVC = 9
    PORTAL = 10
    PANCREAS = 11
    ADRENAL_R = 12
    ADRENAL_L = 13
    SKIN = 20
    FAT = 21
    CAVITY = 22  # fat inside the abdominal wall: the only place where organs may grow
    MUSCLE = 23
    SPONGY_BONE = 24
    CORTICAL_BONE = 25
    CARTILAGE = 26
    DISC = 27
    CANAL = 28
    LUNG = 29
    LUNG_VESSEL = 30
    HEART = 31
    MEDIASTINUM = 32
    DIAPHRAGM = 33
    BOWEL_WALL = 34
    BOWEL_CONTENT = 35
    BOWEL_GAS = 36
    DUODENUM = 37
    VESSEL = 38  # mesenteric and renal vessels: seen, not labelled
    SINUS_FAT = 39
    COLON_CONTENT = 40
    TABLE = 41
    GUARD = 42  # fat that keeps organs off the aorta; becomes CAVITY in the end
    ILIAC = 43
    MEDULLA_R = 50
    MEDULLA_L = 51
    STOMACH_CONTENT = 52
    STOMACH_GAS = 53
    LIVER_VEIN = 54
    LIVER_PORTAL = 55
    CALCIUM = 56
    ESOPHAGUS_LUMEN = 57


T = Tissue  # short, for the long lists of what may be painted over what

LABEL_OF = {
    Tissue.MEDULLA_R: 2,
    Tissue.MEDULLA_L: 3,
    Tissue.STOMACH_CONTENT: 7,
    Tissue.STOMACH_GAS: 7,
    Tissue.LIVER_VEIN: 6,
    Tissue.LIVER_PORTAL: 6,
    Tissue.CALCIUM: 8,
    Tissue.ESOPHAGUS_LUMEN: 5,
}
"""Label id of tissues that are part of a labelled organ; ids 1 to 13 are their own label, all others are 0."""

Vector = tuple[float, float, float]


class Organ(NamedTuple):
    """Population statistics of one organ.

    Args:
        volume: Geometric mean of the volume, mL.
        sd: Standard deviation of the natural logarithm of the volume.
        rho: Correlation of the log volume with body size.
        clip: Smallest and largest volume ever drawn, mL.
        centre: Mean centroid, mm.
        mode_a: Shift per standard deviation when the upper organs ride up or down, mm.
        mode_c: Shift per standard deviation of the right-side mode, mm.
        rest: Standard deviation of what is left, mm.
        blobs: Ellipsoids as (centre in mm, covariance (xx, yy, zz, xy, xz, yz) in mm2).
    """

    volume: float
    sd: float
    rho: float
    clip: tuple[float, float]
    centre: Vector
    mode_a: Vector = (0, 0, 0)
    mode_c: Vector = (0, 0, 0)
    rest: Vector = (4, 6, 6)
    blobs: tuple[tuple[Vector, tuple[float, ...]], ...] = ()


ORGANS: dict[int, Organ] = {
    1: Organ(
        *(209, 0.39, 0.46, (120, 430), (-90, 0, 60), (-2, -6, 3), (0, -2, 8), (7, 10, 8)),
        blobs=(
            ((-70, -10, 74), (970, 650, 860, -10, 70, 280)),
            ((-103, -2, 54), (600, 1100, 1420, -440, 190, 40)),
            ((-90, 10, 51), (550, 700, 790, -150, 160, 170)),
        ),
    ),
    2: Organ(
        *(149, 0.22, 0.59, (100, 210), (64, 1, -6), (1, -1, 2), (3, 0, -2), (4, 4, 4)),
        blobs=(
            ((58, -3, 13), (850, 690, 850, -190, -260, -40)),
            ((68, 4, -24), (620, 750, 930, -210, 110, -170)),
        ),
    ),
    3: Organ(
        *(150, 0.21, 0.64, (114, 220), (-64, -1, 6), (-1, 1, -2), (-3, 0, 2), (4, 4, 4)),
        blobs=(
            ((-58, -2, 24), (910, 610, 900, 80, 320, -50)),
            ((-67, 2, -16), (580, 640, 1010, 100, -150, -200)),
        ),
    ),
    4: Organ(
        *(14, 0.6, -0.09, (4, 50), (67, 72, 22), (8, -8, 19), (17, 2, -9), (6, 9, 6)),
        blobs=(((59, 69, 22), (160, 130, 190, 40, -70, 0)), ((73, 82, 17), (130, 150, 190, 20, -70, -40))),
    ),
    5: Organ(11.5, 0.35, 0.51, (4, 31), (-6, 28, 120), rest=(3, 4, 5)),
    6: Organ(
        *(1355, 0.24, 0.82, (780, 2350), (62, 51, 59), (0, -7, 17), (6, -3, -1), (7, 7, 6)),
        blobs=(
            ((94, 39, 16), (1110, 2800, 2640, -390, -450, 340)),
            ((73, 26, 69), (2490, 3200, 2000, -440, -490, 900)),
            ((59, 87, 66), (3560, 1510, 2570, -1070, -260, -490)),
            ((-2, 72, 76), (3700, 2500, 1600, -1150, -480, -200)),
        ),
    ),
    7: Organ(
        *(348, 0.5, 0.61, (125, 840), (-42, 66, 53), (-2, -8, 14), (5, 1, 2), (9, 7, 8)),
        blobs=(
            ((-56, 32, 82), (990, 790, 600, -100, -50, -50)),
            ((-60, 63, 68), (1070, 1040, 1050, 70, -160, -300)),
            ((-49, 96, 41), (1110, 640, 1130, 170, -430, -220)),
            ((9, 91, 13), (1190, 410, 610, -110, -40, -100)),
        ),
    ),
    8: Organ(73, 0.3, 0.8, (30, 170), (-7, 20, 54)),
    9: Organ(84, 0.25, 0.71, (50, 145), (22, 34, 34)),
    10: Organ(29, 0.3, 0.62, (14, 45), (8, 50, 45), rest=(6, 5, 6)),
    11: Organ(77, 0.3, 0.46, (30, 140), (-10, 53, 22), (2, -2, 9), (3, -1, -5), (8, 5, 9)),
    12: Organ(4.5, 0.36, 0.46, (1.6, 9.0), (32, 14, 48), (0, -5, 6), (2, -2, 1), (4, 5, 6)),
    13: Organ(4.2, 0.4, 0.55, (1.5, 9.0), (-30, 24, 41), (-1, -2, 4), (1, -2, 2), (4, 7, 7)),
}

TUBES: dict[str, tuple[tuple[float, float, float, float], ...]] = {
    'aorta': (
        *((-8, 38, -84, 8.0), (-8, 36, -40, 7.9), (-6, 29, 0, 8.4), (-6, 20, 40, 9.9), (-6, 11, 80, 10.7)),
        *((-9, 4, 120, 10.9), (-13, 3, 140, 11.2), (-16, 3, 230, 11.5)),
    ),
    'ivc': (
        *((14, 37, -90, 9.8), (19, 34, -40, 10.1), (22, 33, 0, 10.6), (25, 31, 40, 12.2), (24, 29, 80, 11.2)),
        *((22, 34, 100, 11.0), (22, 38, 120, 11.3), (22, 43, 146, 9.8)),
    ),
    'esophagus': (
        *((-30, 40, 78, 6.5), (-18, 36, 86, 7.5), (-8, 30, 100, 8.1), (-3, 22, 120, 7.5), (-1, 18, 140, 6.8)),
        *((0, 14, 230, 6.8),),
    ),
    'pancreas': (
        *((-71, 26, 38, 8), (-55, 33, 36, 12), (-37, 46, 34, 12), (-22, 62, 31, 12), (-2, 69, 26, 12)),
        *((17, 62, 13, 15), (28, 53, -4, 14)),
    ),
    'portal': (
        *((-73, 20, 51, 4.0), (-55, 25, 52, 4.4), (-34, 36, 45, 4.8), (-17, 49, 37, 5.0), (3, 58, 31, 6.2)),
        *((21, 56, 36, 6.6), (41, 56, 52, 6.4), (51, 58, 56, 5.0)),
    ),
    'duodenum': (
        *((38, 72, 30, 8), (40, 62, 23, 11), (43, 52, 11, 11), (43, 44, -4, 12), (38, 44, -21, 13)),
        *((26, 50, -35, 13), (11, 55, -39, 12), (-7, 55, -33, 9)),
    ),
}
"""Centreline control points (x, y, z in mm) and radius (mm), from the first to the last end of each tube."""

TISSUE_HU: dict[Tissue, tuple[float, float, float, float]] = {
    Tissue.AIR: (-1000, -1000, 0, 0),
    Tissue.SPLEEN: (46, 116, 8, 3),
    Tissue.KIDNEY_R: (31, 178, 12, 4),
    Tissue.KIDNEY_L: (31, 178, 12, 4),
    Tissue.GALLBLADDER: (8, 11, 5, 2),
    Tissue.ESOPHAGUS: (36, 66, 7, 7),
    Tissue.LIVER: (50, 104, 9, 5),
    Tissue.STOMACH: (36, 84, 9, 8),
    Tissue.AORTA: (42, 152, 10, 3),
    Tissue.IVC: (41, 128, 12, 6),
    Tissue.PORTAL: (43, 160, 10, 4),
    Tissue.PANCREAS: (36, 94, 9, 10),
    Tissue.ADRENAL_R: (26, 72, 9, 6),
    Tissue.ADRENAL_L: (26, 72, 9, 6),
    Tissue.SKIN: (20, 30, 10, 20),
    Tissue.FAT: (-106, -104, 5, 7),
    Tissue.CAVITY: (-103, -99, 6, 9),
    Tissue.MUSCLE: (48, 58, 6, 9),
    Tissue.SPONGY_BONE: (120, 150, 25, 30),
    Tissue.CORTICAL_BONE: (430, 450, 70, 80),
    Tissue.CARTILAGE: (105, 112, 10, 14),
    Tissue.DISC: (85, 95, 10, 10),
    Tissue.CANAL: (22, 28, 6, 6),
    Tissue.LUNG: (-835, -825, 20, 45),
    Tissue.LUNG_VESSEL: (10, 70, 20, 20),
    Tissue.HEART: (42, 130, 12, 10),
    Tissue.MEDIASTINUM: (-70, -65, 10, 30),
    Tissue.DIAPHRAGM: (46, 58, 6, 8),
    Tissue.BOWEL_WALL: (36, 84, 10, 12),
    Tissue.BOWEL_CONTENT: (18, 28, 12, 14),
    Tissue.BOWEL_GAS: (-960, -960, 10, 0),
    Tissue.DUODENUM: (30, 66, 10, 12),
    Tissue.VESSEL: (42, 138, 12, 8),
    Tissue.SINUS_FAT: (-80, -60, 10, 20),
    Tissue.COLON_CONTENT: (20, 26, 18, 35),
    Tissue.GUARD: (-103, -99, 6, 9),
    Tissue.ILIAC: (42, 135, 12, 4),
    Tissue.TABLE: (-60, -60, 60, 0),
    Tissue.MEDULLA_R: (29, 152, 12, 5),
    Tissue.MEDULLA_L: (29, 152, 12, 5),
    Tissue.STOMACH_CONTENT: (22, 26, 16, 14),
    Tissue.STOMACH_GAS: (-960, -960, 10, 0),
    Tissue.LIVER_VEIN: (43, 134, 10, 3),
    Tissue.LIVER_PORTAL: (43, 150, 10, 3),
    Tissue.CALCIUM: (520, 520, 120, 60),
    Tissue.ESOPHAGUS_LUMEN: (-150, -140, 250, 30),
}
"""Mean without contrast medium, mean in the portal-venous phase, spread between patients, slow shading inside (HU)."""

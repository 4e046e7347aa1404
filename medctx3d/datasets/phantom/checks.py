"""Eight checks that generated anatomy must pass: measured values with their limits.

Checks 1 to 6 read the labels; 7 and 8 read intensities and are in `checks_image`. Sizes and distances are meant at
voxels of about 3 mm.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .anatomy import ORGANS, T
from .finding import Finding
from .generate import Phantom
from .measures import axes_mm, contacts, frame_of, organ_points, outside_distance, surface, volumes_ml
from .render import MOST_PIECES

VOLUME_RANGE = {
    1: (117, 439), 2: (11, 222), 3: (108, 254), 4: (1, 53), 5: (2, 31), 6: (767, 2391), 7: (117, 865), 8: (26, 174),
    9: (49, 145), 10: (13, 45), 11: (20, 144), 12: (1.1, 9.9), 13: (1.0, 9.4),
}  # fmt: skip
"""Smallest and largest volume seen in patients, mL."""

# (first, second): the centroid of the first lies further along the axis than that of the second.
RIGHT_OF = (
    *((6, 7), (6, 11), (6, 9), (2, 3), (4, 7), (4, 11), (4, 9), (9, 8), (2, 12), (13, 3), (12, 9)),
    *((other, 1) for other in range(2, 14)),
)
IN_FRONT_OF = (
    *((front, back) for front in (4, 7, 10, 11) for back in (1, 2, 3, 12, 13)),
    *((6, 1), (6, 2), (6, 3), (6, 12), (4, 8), (6, 8), (7, 8), (10, 8), (11, 8), (11, 9), (9, 8), (13, 3)),
)
ABOVE = (
    *((gland, kidney) for gland in (12, 13) for kidney in (2, 3)),
    *((1, 2), (1, 3), (6, 2), (6, 4), (6, 11), (7, 11), (10, 11), (10, 4)),
    *((5, other) for other in (1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13)),
)
TOUCHING = (
    *((4, 6), (6, 7), (6, 9), (6, 10), (6, 12), (9, 12), (7, 1), (7, 11), (10, 11), (10, 13)),
    *((6, T.DUODENUM), (11, T.DUODENUM), (6, T.BOWEL_WALL)),
)
APART = ((8, 6), (8, 2), (8, 3))
AXES = {  # mean and standard deviation of the full principal axes (mm), direction of the longest
    1: ((119, 85, 53), (18, 13, 10), (0.71, -0.52, 0.47)),
    2: ((116, 65, 46), (12, 5, 5), (-0.26, -0.27, 0.93)),
    3: ((117, 62, 50), (10, 5, 5), (0.30, -0.19, 0.93)),
    6: ((224, 146, 111), (25, 19, 12), (0.74, -0.57, -0.36)),
}


def check_volumes(phantom: Phantom) -> list[Finding]:
    """Check 1: every volume within what was seen in patients; the kidneys alike."""
    volumes = volumes_ml(phantom)
    found = [
        Finding(1, f'volume of {T(organ).name}, mL', volumes[organ], *VOLUME_RANGE[organ])
        for organ in ORGANS
        if volumes[organ] > 0
    ]
    if volumes[2] > 0 and volumes[3] > 0:
        found.append(Finding(1, 'right to left kidney volume', volumes[2] / volumes[3], 0.6, 1.6))
    return found


def check_places(phantom: Phantom) -> list[Finding]:
    """Check 2: order of the centroids; the vena cava right of the aorta in every slice."""
    points = {organ: organ_points(phantom, organ) for organ in ORGANS}
    centre = {organ: place.mean(axis=0) for organ, place in points.items() if len(place)}
    found = []
    for axis, words, rules in ((0, 'right of', RIGHT_OF), (1, 'in front of', IN_FRONT_OF), (2, 'above', ABOVE)):
        for first, second in rules:
            if first in centre and second in centre:
                gap = centre[first][axis] - centre[second][axis]
                found.append(Finding(2, f'{T(first).name} {words} {T(second).name}, mm', gap, 0, np.inf))
    if 8 in centre and 9 in centre:
        levels = np.intersect1d(points[8][:, 2], points[9][:, 2])
        gaps = [points[9][points[9][:, 2] == z, 0].mean() - points[8][points[8][:, 2] == z, 0].mean() for z in levels]
        found.append(Finding(2, 'IVC right of AORTA in the worst slice, mm', float(min(gaps)), 0, np.inf))
    return found


def check_contacts(phantom: Phantom) -> list[Finding]:
    """Check 3: organs that always touch do, and the aorta touches neither liver nor kidney."""
    faces = contacts(np.where(phantom.label > 0, phantom.label, phantom.tissue))
    volumes = volumes_ml(phantom)
    found = []
    for pairs, low, high, word in ((TOUCHING, 1, np.inf, 'touches'), (APART, 0, 0, 'stays off')):
        for first, second in pairs:
            if all(organ > 13 or volumes[organ] > 0 for organ in (first, second)):
                name = f'{T(first).name} {word} {T(second).name}, voxel faces'
                found.append(Finding(3, name, faces[first, second], low, high))
    return found


def check_pieces(phantom: Phantom) -> list[Finding]:
    """Check 4: one piece per organ, nothing in bone, lung or the wall."""
    found = []
    connected = np.ones((3, 3, 3))
    for organ in ORGANS:
        _, number = ndimage.label(phantom.label == organ, structure=connected)
        if number:
            found.append(Finding(4, f'pieces of {T(organ).name}', number, 1, MOST_PIECES.get(organ, 1)))
    depth = np.stack([ndimage.binary_erosion(phantom.label == organ) for organ in ORGANS]).any(axis=0)
    inside = phantom.tissue[depth]
    for name, tissues in (
        ('wall', (T.AIR, T.SKIN, T.FAT)),
        ('bone', (T.CORTICAL_BONE, T.SPONGY_BONE)),
        ('lung', (T.LUNG,)),
    ):
        # The tissue is that of one point of a voxel, the label that of its majority: they may differ on a surface.
        count = int(np.isin(inside, tissues).sum())
        found.append(Finding(4, f'voxels inside organs whose tissue is {name}', count, 0, 0))
    return found


def check_surface(phantom: Phantom) -> list[Finding]:
    """Check 5: liver and spleen hug wall and diaphragm, kidneys lie deep."""
    spacing = frame_of(phantom).spacing
    depth = outside_distance(phantom)
    lung = phantom.tissue == T.LUNG
    to_lung = ndimage.distance_transform_edt(~lung, sampling=spacing) if lung.any() else np.full(depth.shape, np.inf)
    found = []
    for organ in (1, 6):
        rim = surface(phantom.label == organ)
        share = 100 * float(((depth[rim] < 40) | (to_lung[rim] < 9)).mean())
        found.append(Finding(5, f'surface of {T(organ).name} near skin or lung, %', share, 40, 60))
    for organ in (2, 3):
        mask = phantom.label == organ
        if mask.any():
            found.append(Finding(5, f'skin to {T(organ).name}, mm', depth[mask].min(), 40, np.inf))
    return found


def check_shape(phantom: Phantom) -> list[Finding]:
    """Check 6: principal axes of liver, spleen and kidneys."""
    found = []
    for organ, (means, sds, direction) in AXES.items():
        points = organ_points(phantom, organ)
        if not len(points):
            continue
        lengths, longest = axes_mm(points)
        for number, (length, mean, sd) in enumerate(zip(lengths, means, sds, strict=True), start=1):
            name = f'axis {number} of {T(organ).name}, mm'
            found.append(Finding(6, name, length, mean - 2 * sd, mean + 2 * sd))
        cosine = np.clip(abs(longest @ direction) / np.linalg.norm(direction), 0, 1)
        found.append(Finding(6, f'turn of {T(organ).name}, degrees', float(np.degrees(np.arccos(cosine))), 0, 35))
    return found

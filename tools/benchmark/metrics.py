"""How long does it take to score one abdominal CT with 13 organs by all metrics, HD95 included?

Generates a truth of 512x512x150 voxels (0.8 x 0.8 x 3 mm) with 13 ellipsoids of the sizes of the BTCV organs, and a
prediction of the same organs, displaced, with wavy borders, two of them with a false speck far away. Times
medctx3d.evaluation.score_case on one thread; reading files is not part of it. With --reference, the package
surface-distance is timed on the same masks.

The last line is JSON: wall_s and cpu_s, medians over the repeats, the size of the largest organ, the load of the
machine, and, with --reference, reference_cpu_s and the largest difference of HD95 in mm.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
import warnings

import numpy as np
from surface_distance import compute_robust_hausdorff, compute_surface_distances

from medctx3d.evaluation.metrics.case_scores import score_case
from medctx3d.evaluation.metrics.metric_table import METRIC_NAMES
from medctx3d.evaluation.metrics.score_rules import ScoreRules
from medctx3d.evaluation.metrics.surfaces import surface_distances
from medctx3d.utils.command_line import run_tool

SHAPE, SPACING = (512, 512, 150), (0.8, 0.8, 3.0)
# Half axes in mm and centre in parts of the volume (right to left, back to front, bottom to top).
ORGANS = {
    'liver': ((95, 75, 55), (0.68, 0.6, 0.66)),
    'spleen': ((35, 30, 50), (0.25, 0.35, 0.72)),
    'right_kidney': ((28, 25, 55), (0.68, 0.28, 0.45)),
    'left_kidney': ((28, 25, 55), (0.32, 0.28, 0.5)),
    'gallbladder': ((15, 18, 25), (0.6, 0.68, 0.5)),
    'esophagus': ((10, 9, 40), (0.47, 0.38, 0.92)),
    'stomach': ((50, 35, 45), (0.36, 0.66, 0.72)),
    'aorta': ((12, 12, 180), (0.48, 0.28, 0.5)),
    'inferior_vena_cava': ((13, 11, 150), (0.56, 0.3, 0.5)),
    'portal_and_splenic_vein': ((45, 7, 9), (0.48, 0.45, 0.6)),
    'pancreas': ((65, 16, 18), (0.45, 0.5, 0.55)),
    'right_adrenal_gland': ((11, 5, 14), (0.6, 0.36, 0.63)),
    'left_adrenal_gland': ((11, 5, 14), (0.4, 0.36, 0.65)),
}
SPECKED = ('liver', 'pancreas')


def draw(shape: tuple[int, int, int], *, predicted: bool) -> np.ndarray:
    """Class ids (X, Y, Z); smaller shapes hold the same organs at a smaller scale."""
    labels = np.zeros(shape, np.uint8)
    scale = shape[0] / SHAPE[0]
    for label, (name, (half, place)) in enumerate(ORGANS.items(), start=1):
        radii = scale * np.divide(half, SPACING)
        radii[2] = half[2] / SPACING[2] * shape[2] / SHAPE[2]
        centre = np.multiply(place, shape) + (np.array([2.0, -1.5, 0.6]) * scale if predicted else 0.0)
        low = np.maximum(np.floor(centre - 1.1 * radii).astype(int), 0)
        high = np.minimum(np.ceil(centre + 1.1 * radii).astype(int) + 1, shape)
        x, y, z = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        waves = 0.06 * np.sin(x / 7 + label) * np.cos(y / 9) * np.cos(z / 4) if predicted else 0.0
        squared = sum(((axis - c) / r) ** 2 for axis, c, r in zip((x, y, z), centre, radii, strict=True))
        box = labels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        box[squared + waves <= 1] = label
        if predicted and name in SPECKED:
            labels[2 * label : 2 * label + 4, 4:8, 2:4] = label
    return labels


def time_scores(truth: np.ndarray, prediction: np.ndarray, repeats: int) -> tuple[list[float], list[float], dict]:
    """Wall and CPU seconds of each repeat, and the scores."""
    classes = {name: label for label, name in enumerate(ORGANS, start=1)}
    wall, cpu, scores = [], [], {}
    for _ in range(repeats):
        start, busy = time.perf_counter(), time.process_time()
        scores = score_case(truth, prediction, spacing=SPACING, classes=classes, rules=ScoreRules(METRIC_NAMES))
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - busy)
    return wall, cpu, scores


def time_reference(truth: np.ndarray, prediction: np.ndarray) -> tuple[float, dict[str, float]]:
    """CPU seconds and HD95 of the package surface-distance."""
    found, start = {}, time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # it calls scipy by an old name
        for label, name in enumerate(ORGANS, start=1):
            distances = compute_surface_distances(truth == label, prediction == label, SPACING)
            found[name] = float(compute_robust_hausdorff(distances, 95))
    return time.process_time() - start, found


def main() -> None:
    """Generate, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--repeats', type=int, default=5, help='timed calls (default: %(default)s)')
    parser.add_argument('--shape', type=int, nargs=3, default=SHAPE, metavar=('X', 'Y', 'Z'), help='voxels')
    parser.add_argument('--reference', action='store_true', help='also time surface-distance, which takes longer')
    arguments = parser.parse_args()
    shape = tuple(arguments.shape)
    truth, prediction = draw(shape, predicted=False), draw(shape, predicted=True)
    wall, cpu, scores = time_scores(truth, prediction, arguments.repeats)
    liver = [labels == 1 for labels in (truth, prediction)]
    figures = dict(
        voxels=int(truth.size),
        organs=len(ORGANS),
        metrics=len(METRIC_NAMES),
        wall_s=round(statistics.median(wall), 3),
        cpu_s=round(statistics.median(cpu), 3),
        largest_organ_ml=round(float(liver[0].sum() * np.prod(SPACING) / 1000), 1),
        largest_surface_points=len(surface_distances(*liver, spacing=SPACING).there),
        mean_dice=round(float(np.mean([values['dice'] for values in scores.values()])), 3),
        load_1min=round(os.getloadavg()[0], 2) if hasattr(os, 'getloadavg') else None,
    )
    if arguments.reference:
        seconds, hd95 = time_reference(truth, prediction)
        figures['reference_cpu_s'] = round(seconds, 3)
        figures['reference_largest_difference_mm'] = max(abs(scores[name]['hd95'] - hd95[name]) for name in ORGANS)
    print(json.dumps(figures))


if __name__ == '__main__':
    run_tool(main)

"""Pictures of a case: three planes of truth, prediction and difference, each an image of its own."""

from __future__ import annotations

import base64
from typing import NamedTuple

import cv2
import numpy as np
from matplotlib.colors import to_rgb

from medctx3d.reporting.shown_case import ShownCase
from medctx3d.visualization.difference import DIFFERENCES
from medctx3d.visualization.overlay import class_color
from medctx3d.visualization.planes import PLANES, cut, ras_spacing, to_ras

_SIDE = 340  # pixels of the longest edge of the volume, twice what a page of three columns shows on a laptop
_QUALITY = 82  # of WebP, 0 to 100
_FILL = {'difference': 0.8}  # opacity: thin errors must be seen
_FILL_ELSE = 0.5


class Picture(NamedTuple):
    """One plane of a case.

    Attributes:
        layer: ``truth``, ``prediction`` or ``difference``.
        plane: Name of the plane.
        data: Content of an ``<img src=...>``.
        width: Pixels.
        height: Pixels.
        letters: Sides of the patient at the left, right, top and bottom.
    """

    layer: str
    plane: str
    data: str
    width: int
    height: int
    letters: str


def draw_case(case: ShownCase, slices: tuple[int, int, int]) -> list[Picture]:
    """Three planes for each of the layers that a case has, true to mm, through the same slices.

    Args:
        case: With at least an image.
        slices: Index along right, anterior and superior, such as those of ``case.slices()``.
    """
    grey, spacing = to_ras(case.grey, case.affine), ras_spacing(case.affine)
    layers = {'truth': case.truth, 'prediction': case.prediction, 'difference': case.difference()}
    turned = {name: to_ras(labels, case.affine) for name, labels in layers.items() if labels is not None}
    scale = _SIDE / max(np.multiply(grey.shape, spacing))  # pixels per mm
    pictures = []
    for name, labels in (turned or {'image': np.zeros_like(grey)}).items():
        palette = _palette(name, labels)
        for plane in PLANES:
            below, above = (np.ascontiguousarray(cut(part, plane, slices[plane.axis])) for part in (grey, labels))
            edges = spacing[[plane.across, plane.up]] * scale
            pixels = _compose(below, above, palette, edges, _FILL.get(name, _FILL_ELSE))
            height, width = pixels.shape[:2]
            pictures.append(Picture(name, plane.name, _encode(pixels), width, height, plane.letters))
    return pictures


def _palette(layer: str, labels: np.ndarray) -> dict[int, tuple[float, float, float]]:
    if layer == 'difference':
        return {code: to_rgb(color) for code, (_, color) in DIFFERENCES.items()}
    return {int(label): class_color(int(label)) for label in np.unique(labels) if label > 0}


def _compose(
    below: np.ndarray,
    above: np.ndarray,
    palette: dict[int, tuple[float, float, float]],
    pixels: np.ndarray,
    fill: float,
) -> np.ndarray:
    """RGB uint8 of one plane, grey with coloured labels; ``pixels`` per voxel across and up."""
    rows, columns = below.shape
    size = (max(1, round(columns * pixels[0])), max(1, round(rows * pixels[1])))
    below = cv2.resize(below, size, interpolation=cv2.INTER_LINEAR)
    above = cv2.resize(above.astype(np.uint16), size, interpolation=cv2.INTER_NEAREST)
    picture = np.repeat(below[..., None] / 255, 3, axis=-1)
    for label, color in palette.items():
        where = above == label
        picture[where] = (1 - fill) * picture[where] + fill * np.asarray(color)
    return np.rint(255 * picture).astype(np.uint8)


def _encode(pixels: np.ndarray) -> str:
    done, content = cv2.imencode('.webp', pixels[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    if not done:
        raise ValueError(f'a picture of shape {pixels.shape} cannot be written as WebP')
    return 'data:image/webp;base64,' + base64.b64encode(content.tobytes()).decode('ascii')

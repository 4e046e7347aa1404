"""A picture of one volume: three orthogonal planes with truth, prediction and hidden cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import hsv_to_rgb, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from medctx3d.visualization.planes import PLANES, cut, ras_spacing, richest_slices, to_ras

_WIDTH = 10.0  # inches of the whole picture
_DPI = 130
_FILL = 0.55  # opacity of a filled organ
_STRIPED = 400  # pixels along the longer side of a plane with stripes, so that they stay fine on small crops
_INK = '#222222'
# Vivid on grey, neighbours in BTCV's order far apart.
_PALETTE = (
    *('#2f7ed8', '#ff8c1a', '#ffcc33', '#2fbf4b', '#9b5de5', '#b9573f', '#ff6fb5', '#ff2d2d', '#35c9ff', '#1c4fd6'),
    *('#e8e13a', '#00b39f', '#a6e22e', '#d08cff', '#ff9e80', '#5fd3a2'),
)


def draw_overlay(
    image: np.ndarray,
    *,
    affine: np.ndarray,
    truth: np.ndarray | None = None,
    prediction: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    classes: Sequence[str] | None = None,
    window: tuple[float, float] | None = None,
    title: str = '',
) -> np.ndarray:
    """Draw three orthogonal planes through the slices that show most organs.

    With truth and prediction there are two rows: the truth filled, and the prediction filled with the truth as
    lines. Aspect and scale are true to mm, the patient's right is on the left.

    Args:
        image: (X, Y, Z) intensities, in any orientation.
        affine: (4, 4) voxel index to RAS+ world in mm.
        truth: (X, Y, Z) class ids.
        prediction: (X, Y, Z) class ids.
        mask: (gx, gy, gz) bool cells, or voxels; True = hidden. Each cell covers an equal part of the volume.
        classes: Names by class id, background first, for the legend.
        window: Intensities shown as black and white; default: the 1st and 99th percentile of what is not the minimum.
        title: Written above.

    Returns:
        (height, width, 3) uint8 RGB on white.

    Raises:
        ValueError: ``image`` is not three-dimensional, or a label volume has another shape.
    """
    image = np.asarray(image)
    layers = {'truth': truth, 'prediction': prediction}
    if image.ndim != 3:
        raise ValueError(f'draw_overlay takes one channel (X, Y, Z), got an image of shape {image.shape}')
    for name, layer in layers.items():
        if layer is not None and layer.shape != image.shape:
            raise ValueError(f'{name} must have the shape of the image {image.shape}, got {layer.shape}')
    grey = grey_levels(image, window)
    ras = {name: to_ras(np.asarray(layer), affine) for name, layer in layers.items() if layer is not None}
    if mask is not None:
        ras['mask'] = to_ras(_voxel_mask(np.asarray(mask), image.shape), affine)
    grey = to_ras(grey, affine)
    slices = richest_slices(ras.get('truth', ras.get('prediction')), grey.shape)
    rows: list[str] = [name for name in layers if name in ras] or ['image']
    extent = np.multiply(grey.shape, ras_spacing(affine))  # mm
    figure, axes = plane_canvas(extent, len(rows), title)
    for row, name in enumerate(rows):
        for panel, plane in zip(axes[row], PLANES, strict=True):
            cuts = {key: cut(volume, plane, slices[plane.axis]) for key, volume in ras.items()}
            picture = _compose(cut(grey, plane, slices[plane.axis]), cuts.get(name), cuts.get('mask'))
            size = extent[[plane.across, plane.up]]
            show_plane(panel, picture, size, plane.letters)
            if name == 'prediction' and 'truth' in cuts:
                _outline(panel, cuts['truth'], size)
        if name != 'image':
            axes[row][0].set_ylabel(name, color=_INK, fontsize=11)
    _legend(figure, ras, classes)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]


def class_color(label: int) -> tuple[float, float, float]:
    """RGB in 0 to 1 of a class id: distinct hues, the same in every picture."""
    if 1 <= label <= len(_PALETTE):
        return to_rgb(_PALETTE[label - 1])
    red, green, blue = hsv_to_rgb([(label * 0.618) % 1, 0.75, 0.95])
    return float(red), float(green), float(blue)


def grey_levels(image: np.ndarray, window: tuple[float, float] | None) -> np.ndarray:
    """Intensities on 0 (black) to 1 (white), float32; without a window between the 1st and 99th percentile."""
    if window is None:
        inside = image[image > image.min()]  # the minimum is air or padding and would fill the percentiles
        window = tuple(np.percentile(inside, (1, 99))) if inside.size else (0.0, 1.0)
    low, high = float(window[0]), float(window[1])
    return np.clip((image.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1)


def _voxel_mask(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Cells spread over the voxels that they cover."""
    index = [np.arange(size) * cells // size for size, cells in zip(shape, mask.shape, strict=True)]
    return mask[np.ix_(*index)]


def _compose(grey: np.ndarray, labels: np.ndarray | None, hidden: np.ndarray | None) -> np.ndarray:
    """RGB picture of one plane: grey image, organs filled, hidden cells dimmed and striped."""
    picture = np.repeat(grey[..., None], 3, axis=-1)
    if labels is not None:
        for label in np.unique(labels[labels > 0]):
            where = labels == label
            picture[where] = (1 - _FILL) * picture[where] + _FILL * np.asarray(class_color(int(label)))
    if hidden is not None:
        times = max(1, _STRIPED // max(hidden.shape))
        picture, hidden = (part.repeat(times, axis=0).repeat(times, axis=1) for part in (picture, hidden))
        row, column = np.indices(picture.shape[:2])
        stripe = np.less((row + column) % 12, 3)[..., None]
        picture = np.where(np.expand_dims(hidden, -1), 0.4 * picture + 0.5 * stripe, picture)
    return picture


def plane_canvas(extent: np.ndarray, rows: int, title: str) -> tuple[Figure, list[list[Axes]]]:
    """Figure whose panels all have the same scale in mm.

    Args:
        extent: Size of the volume in mm along x, y, z.
        rows: Rows of panels.
        title: Written above.
    """
    widths = [extent[plane.across] for plane in PLANES]
    height = max(extent[plane.up] for plane in PLANES)
    margin, gap = 0.45, 0.25
    scale = (_WIDTH - 4 * margin) / sum(widths)  # inches per mm
    scale = min(scale, 5.0 / height)
    foot, head = 0.75, 0.4 if title else 0.15
    total = rows * (height * scale + gap) + foot + head
    figure = Figure(figsize=(_WIDTH, total), dpi=_DPI, facecolor='white')
    FigureCanvasAgg(figure)
    start = (_WIDTH - sum(widths) * scale - 2 * margin) / 2
    axes: list[list[Axes]] = []
    for row in range(rows):
        left, bottom = start, foot + (rows - 1 - row) * (height * scale + gap) + gap / 2
        line = []
        for plane, width in zip(PLANES, widths, strict=True):
            tall = extent[plane.up] * scale
            box = (left, bottom + (height * scale - tall) / 2, width * scale, tall)
            line.append(figure.add_axes((box[0] / _WIDTH, box[1] / total, box[2] / _WIDTH, box[3] / total)))
            left += width * scale + margin
        axes.append(line)
    if title:
        figure.text(0.5, 1 - 0.2 / total, title, ha='center', va='center', fontsize=12, color=_INK)
    return figure, axes


def show_plane(axes: Axes, picture: np.ndarray, size: np.ndarray, letters: str) -> None:
    """Put a picture (rows, columns, 3) of ``size`` mm across and up into its panel, with the sides of the patient."""
    shade = [withStroke(linewidth=1.8, foreground='black')]
    axes.imshow(picture, extent=(0.0, size[0], 0.0, size[1]), interpolation='nearest', aspect='equal')
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    places = ((0.015, 0.5, 'left', 'center'), (0.985, 0.5, 'right', 'center'), (0.5, 0.985, 'center', 'top'))
    for letter, (x, y, ha, va) in zip(letters, (*places, (0.5, 0.015, 'center', 'bottom')), strict=True):
        axes.text(x, y, letter, ha=ha, va=va, color='white', fontsize=8, transform=axes.transAxes, path_effects=shade)


def _outline(axes: Axes, labels: np.ndarray, size: np.ndarray) -> None:
    """Draw the border of every class as a line; rows of ``labels`` run from top to bottom."""
    rows, columns = labels.shape
    x, y = (np.arange(columns) + 0.5) / columns * size[0], (rows - np.arange(rows) - 0.5) / rows * size[1]
    for label in np.unique(labels[labels > 0]):
        where = labels == label
        if not where.all():
            color = 0.35 + 0.65 * np.asarray(class_color(int(label)))  # lighter than the fill, so that it shows on it
            axes.contour(x, y, where.astype(float), levels=[0.5], colors=[color], linewidths=1.0)


def _legend(figure: Figure, ras: dict[str, np.ndarray], classes: Sequence[str] | None) -> None:
    """Names of the classes that occur, and what line and stripes mean, below the panels."""
    found = [np.unique(ras[name]) for name in ('truth', 'prediction') if name in ras]
    labels = [int(label) for label in np.unique(np.concatenate(found)) if label > 0] if found else []
    handles: list[Patch | Line2D] = []
    for label in labels:
        name = classes[label] if classes is not None and label < len(classes) else f'class {label}'
        handles.append(Patch(facecolor=class_color(label), label=name.replace('_', ' ')))
    if 'truth' in ras and 'prediction' in ras:
        handles.append(Line2D([], [], color='#888888', linewidth=1.2, label='line: truth'))
    if 'mask' in ras:
        handles.append(Patch(facecolor='#555555', edgecolor='white', hatch='/////', label='hidden from the student'))
    if handles:
        figure.legend(
            handles=handles,
            loc='lower center',
            ncols=min(len(handles), 5),
            frameon=False,
            fontsize=8,
            labelcolor=_INK,
            handlelength=1.2,
            columnspacing=1.4,
        )

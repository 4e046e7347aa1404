"""A case as it is shown: image, truth, prediction and where they differ, on the grid of the image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medctx3d.datasets import VolumeDataset
from medctx3d.datasets.checks import image_paths
from medctx3d.utils.nifti import read_labels
from medctx3d.utils.volume_file import read_volume
from medctx3d.visualization.difference import difference_map
from medctx3d.visualization.planes import richest_slices, to_ras

_PERCENTILES = (1, 99)  # of what is not the minimum, shown as black and white where the config names no window


class ShownCase(NamedTuple):
    """Volumes of a case, all of shape (X, Y, Z) on the grid of the image file.

    Attributes:
        case: Id.
        grey: uint8 intensities, windowed.
        affine: (4, 4) voxel index to RAS+ world in mm.
        truth: Class ids; None without a label file.
        prediction: Class ids; None where none was saved.
    """

    case: str
    grey: np.ndarray
    affine: np.ndarray
    truth: np.ndarray | None
    prediction: np.ndarray | None

    def difference(self) -> np.ndarray | None:
        """Codes of :func:`~medctx3d.visualization.difference.difference_map`; None without truth or prediction."""
        if self.truth is None or self.prediction is None:
            return None
        return difference_map(self.truth, self.prediction)

    def slices(self) -> tuple[int, int, int]:
        """Index along right, anterior and superior of the slices to look at, in RAS+ order.

        Those with most wrong voxels, or with most of the classes if none is wrong.
        """
        layers = [self.difference(), self.truth, self.prediction]
        shown = next((layer for layer in layers if layer is not None and layer.any()), None)
        shape = to_ras(self.grey, self.affine).shape
        return richest_slices(None if shown is None else to_ras(shown, self.affine), shape)


def read_case(record: dict[str, Any], dataset: VolumeDataset, predictions: Path | None) -> ShownCase:
    """Read a case; of several channels the first is shown.

    Args:
        record: Of the data set's list.
        dataset: Whose label map and window hold.
        predictions: Folder of ``<case>.nii.gz``.

    Raises:
        OSError: A file is missing or cannot be read.
        ValueError: A volume is unusable, or lies on another grid than the image.
    """
    image, affine = read_volume(image_paths(record)[0])
    image = image[..., 0] if image.ndim == 4 else image
    truth = read_labels(record['label'], dataset.metainfo.get('label_map')) if record.get('label') else None
    file = predictions / f'{record["case"]}.nii.gz' if predictions is not None else None
    prediction = read_labels(file) if file is not None and file.is_file() else None
    for name, labels in (('truth', truth), ('prediction', prediction)):
        if labels is not None and labels.shape != image.shape:
            raise ValueError(f'the {name} must have the shape of the image {image.shape}, it has {labels.shape}')
    return ShownCase(str(record['case']), _grey(image, window_of(dataset)), affine, truth, prediction)


def window_of(dataset: VolumeDataset) -> tuple[float, float] | None:
    """Intensities that the load pipeline maps to black and white, as stored in files; None if it names none."""
    for transform in dataset.load_pipeline:
        if {'a_min', 'a_max'} <= transform.keys():
            return float(transform['a_min']), float(transform['a_max'])
    return None


def saved_predictions(folder: str | os.PathLike[str] | None) -> Path | None:
    """The folder of predictions below that of the results; None where nothing was saved."""
    found = Path(folder) / 'predictions' if folder is not None else None
    return found if found is not None and found.is_dir() else None


def _grey(image: np.ndarray, window: tuple[float, float] | None) -> np.ndarray:
    if window is None:
        inside = image[image > image.min()]
        low, high = np.percentile(inside, _PERCENTILES) if inside.size else (0.0, 1.0)
    else:
        low, high = window
    scaled = (image.astype(np.float32) - np.float32(low)) * np.float32(255 / max(high - low, 1e-6))
    return np.clip(scaled, 0, 255).astype(np.uint8)

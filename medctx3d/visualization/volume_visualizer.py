"""mmengine's visualizer for volumes."""

from __future__ import annotations

import os
import re
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.visualization import MLflowVisBackend, Visualizer

from medctx3d.registry import VISUALIZERS
from medctx3d.structures import VolumeData, VolumeDataSample
from medctx3d.utils.atomic import atomic_path
from medctx3d.utils.geometry import to_source_grid
from medctx3d.visualization.overlay import draw_overlay


@VISUALIZERS.register_module()
class VolumeVisualizer(Visualizer):
    """Draws a volume with truth and prediction and hands the picture to the backends of the run.

    Arguments of the constructor are mmengine's: ``name``, ``vis_backends``, ``save_dir``, and so on.
    """

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray | torch.Tensor,
        data_sample: VolumeDataSample | None = None,
        *,
        draw_gt: bool = True,
        draw_pred: bool = True,
        mask: np.ndarray | torch.Tensor | None = None,
        window: tuple[float, float] | None = None,
        out_file: str | os.PathLike[str] | None = None,
        step: int = 0,
    ) -> None:
        """Draw one volume; see :func:`medctx3d.visualization.draw_overlay`.

        Args:
            name: Title of the picture, and its name at the backends.
            image: (C, X, Y, Z), of which the first channel is shown, or (X, Y, Z).
            data_sample: Truth, prediction and ``affine``; without affine, voxels of 1 mm in RAS+ order.
            draw_gt: Whether to draw the truth, if there is one.
            draw_pred: Whether to draw the prediction, if there is one.
            mask: (gx, gy, gz) cells, True = hidden.
            window: Intensities shown as black and white.
            out_file: Write the picture here, and not to the backends.
            step: Global step that backends file it under.
        """
        sample = data_sample if data_sample is not None else VolumeDataSample()
        voxels = _array(image)
        picture = draw_overlay(
            voxels[0] if voxels.ndim == 4 else voxels,
            affine=np.eye(4) if sample.get('affine') is None else sample.affine,
            truth=_labels(sample.gt_sem_seg) if draw_gt and 'gt_sem_seg' in sample else None,
            prediction=_prediction(sample, voxels.shape[-3:]) if draw_pred and 'pred_sem_seg' in sample else None,
            mask=None if mask is None else _array(mask),
            classes=(self.dataset_meta or {}).get('classes'),
            window=window,
            title=name,
        )
        self.set_image(picture)
        if out_file is not None:
            write_picture(out_file, picture)
        else:
            self.add_image(name, picture, step)

    @master_only
    def add_image(self, name: str, image: np.ndarray, step: int = 0) -> None:
        """Hand a picture to every backend, under a name that it can keep.

        Args:
            name: Of the picture; what is no letter, digit, ``-``, ``_`` or ``.`` becomes ``_``, since names become
                files.
            image: (height, width, 3) uint8 RGB.
            step: Global step.
        """
        name = re.sub(r'[^\w.-]', '_', name)
        for backend in self._vis_backends.values():
            # MLflow files a picture under its name alone: without an ending it refuses it, without the step each
            # validation would replace the one before.
            kept = f'{name}_{step}.png' if isinstance(backend, MLflowVisBackend) else name
            backend.add_image(kept, image, step)

    @master_only
    def add_scalar(self, name: str, value: float | torch.Tensor | np.ndarray, step: int = 0) -> None:
        """Hand a value to every backend; see :meth:`add_scalars`."""
        self.add_scalars({name: value}, step)

    @master_only
    def add_scalars(
        self, scalar_dict: dict[str, Any], step: int = 0, file_path: str | os.PathLike[str] | None = None
    ) -> None:
        """Hand values to every backend; MLflow gets ``dice.liver`` for ``dice/liver``.

        Its file store keeps a metric in a file of its name, so that ``dice`` and ``dice/liver`` exclude each other.

        Args:
            scalar_dict: Values by name.
            step: Global step.
            file_path: A further file that ``LocalVisBackend`` writes them to.
        """
        flat = {name.replace('/', '.'): value for name, value in scalar_dict.items()}
        for backend in self._vis_backends.values():
            backend.add_scalars(flat if isinstance(backend, MLflowVisBackend) else scalar_dict, step, file_path)


def write_picture(path: str | os.PathLike[str], picture: np.ndarray) -> None:
    """Write (height, width, 3) uint8 RGB as PNG, whole or not at all."""
    done, content = cv2.imencode('.png', picture[..., ::-1])
    if not done:
        raise ValueError(f'{path}: a picture of shape {picture.shape} cannot be written as PNG')
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.tobytes())


def _array(value: np.ndarray | torch.Tensor) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def _labels(maps: VolumeData) -> np.ndarray:
    return _array(maps.data)[0]


def _prediction(sample: VolumeDataSample, shape: tuple[int, ...]) -> np.ndarray:
    """Predicted class ids on the grid of the picture; they may lie on that of the file."""
    labels, affine = _labels(sample.pred_sem_seg), sample.pred_sem_seg.get('affine')
    if affine is None or sample.get('affine') is None:
        return labels
    return to_source_grid(labels, affine, sample.affine, shape)

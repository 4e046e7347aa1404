"""Segment one volume and bring the result back to the grid of its file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch import nn

from medctx3d.datasets import VolumeDataset
from medctx3d.datasets.pipeline import build_pipeline, run_pipeline
from medctx3d.datasets.prepared_volume import as_sample
from medctx3d.registry import DATASETS
from medctx3d.structures import VolumeDataSample
from medctx3d.utils.geometry import to_source_grid
from medctx3d.utils.nifti import write_labels
from medctx3d.utils.volume_file import strip_suffix

ImagePath = str | os.PathLike[str]


def inference_dataset(cfg: Config) -> VolumeDataset:
    """The test data set of a config without its cases: its pipelines and its meta information.

    Raises:
        ValueError: The config has neither a test nor a validation data set.
    """
    loader = cfg.get('test_dataloader') or cfg.get('val_dataloader')
    if not loader:
        raise ValueError(
            f'the config {cfg.filename or ""} has no test_dataloader, whose dataset says how volumes are prepared'
        )
    return DATASETS.build(dict(loader['dataset'], store=None, lazy_init=True))


def prepare_volume(model: nn.Module, image: ImagePath | Sequence[ImagePath]) -> dict[str, Any]:
    """Load a volume as the test data set of the model's config does.

    Args:
        model: From :func:`init_model`.
        image: A file, or one file per channel.

    Returns:
        ``inputs`` (C, X, Y, Z) float32 on the working grid, and ``data_samples``, a sample without truth.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A volume is unusable, or has another number of channels than the model.
    """
    files = str(image) if isinstance(image, (str, os.PathLike)) else [str(path) for path in image]
    case = strip_suffix(files if isinstance(files, str) else files[0])
    record = dict(case=case, image=files, label=None)
    dataset = inference_dataset(model.cfg)
    load = build_pipeline(dataset.load_pipeline, dataset.metainfo)
    sample = as_sample(run_pipeline(load, dict(record), case), record)
    return run_pipeline(dataset.pipeline, sample, case)


@torch.no_grad()
def segment_volume(model: nn.Module, image: ImagePath | Sequence[ImagePath]) -> VolumeDataSample:
    """Segment one volume.

    Args:
        model: From :func:`init_model`.
        image: A file, or one file per channel.

    Returns:
        Sample with ``pred_sem_seg.data`` (1, X, Y, Z) on the working grid, its ``affine``, and the file's
        ``source_affine`` and ``source_shape``.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A volume is unusable, or has another number of channels than the model.
    """
    return predict_prepared(model, prepare_volume(model, image))


@torch.no_grad()
def predict_prepared(model: nn.Module, packed: dict[str, Any]) -> VolumeDataSample:
    """Segment what :func:`prepare_volume` gave."""
    return model.test_step(pseudo_collate([packed]))[0]  # type: ignore[operator]


def segmentation_on_source_grid(sample: VolumeDataSample) -> np.ndarray:
    """Predicted class ids on the grid of the image file.

    Args:
        sample: From :func:`segment_volume`.

    Returns:
        (X0, Y0, Z0) uint8, or uint16 where ids beyond 255 occur.
    """
    labels = sample.pred_sem_seg.data[0].cpu().numpy()
    labels = labels.astype(np.uint8 if labels.max(initial=0) <= np.iinfo(np.uint8).max else np.uint16)
    return to_source_grid(labels, sample.affine, sample.source_affine, sample.source_shape)


def save_segmentation(sample: VolumeDataSample, path: ImagePath) -> None:
    """Write the predicted class ids as NIfTI on the grid and with the header of the image.

    The file appears whole or not at all; affine, qform and sform with their codes are the image's.

    Args:
        sample: From :func:`segment_volume`.
        path: ``.nii.gz`` or ``.nii`` file to write.
    """
    image = sample.image_path
    write_labels(path, segmentation_on_source_grid(sample), like=image if isinstance(image, str) else image[0])

"""Segment one volume and bring the result back to the grid of its file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import nn

from medctx3d.apis.inference_dataset import inference_dataset, load_transforms
from medctx3d.apis.memory import plan_sample
from medctx3d.datasets.pipeline import run_pipeline
from medctx3d.datasets.prepared_volume import as_sample
from medctx3d.inference import EntropyFile, ProbabilityFile, map_files, run_lean
from medctx3d.structures import VolumeDataSample
from medctx3d.utils.geometry import grid_map, to_source_grid
from medctx3d.utils.nifti import write_labels
from medctx3d.utils.volume_file import strip_suffix

ImagePath = str | os.PathLike[str]


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
    load = partial(run_lean, load_transforms(dataset))
    sample = as_sample(run_pipeline(load, dict(record), case), record)
    return run_pipeline(dataset.pipeline, sample, case)


def segment_volume(
    model: nn.Module,
    image: ImagePath | Sequence[ImagePath],
    *,
    probabilities: ImagePath | None = None,
    entropy: ImagePath | None = None,
) -> VolumeDataSample:
    """Segment one volume.

    Args:
        model: From :func:`init_model`.
        image: A file, or one file per channel.
        probabilities: Also write the probability of every class on the grid of the image, a ``.nii`` of (X, Y, Z, K).
        entropy: Also write the entropy of these probabilities in nats, a ``.nii`` of (X, Y, Z).

    Returns:
        Sample with ``pred_sem_seg.data`` (1, X, Y, Z) on the grid that ``pred_sem_seg.affine`` tells, ``affine`` of
        the working grid, the file's ``source_affine`` and ``source_shape``, and how many ``windows`` there were, how
        many of them ``skipped_windows``.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A volume is unusable, has another number of channels than the model, or needs more memory than the
            model's options grant.
    """
    return predict_prepared(model, prepare_volume(model, image), probabilities=probabilities, entropy=entropy)


@torch.no_grad()
def predict_prepared(
    model: nn.Module,
    packed: dict[str, Any],
    *,
    probabilities: ImagePath | None = None,
    entropy: ImagePath | None = None,
) -> VolumeDataSample:
    """Segment what :func:`prepare_volume` gave; arguments and answer are those of :func:`segment_volume`."""
    segmentor: Any = model
    plan_sample(model, packed)
    data = segmentor.data_preprocessor(pseudo_collate([packed]), False)
    on_source = segmentor.resample == 'scores'
    if probabilities is None and entropy is None:
        return segmentor.predict(**data, on_source=on_source)[0]
    sample = packed['data_samples']
    if not on_source or grid_map(sample.affine, sample.source_affine, sample.source_shape) is None:
        raise ValueError(
            f'case {sample.case!r}: probabilities and entropy are written on the grid of the image, whose axes must '
            "be parallel to those of the working grid, and with resample='scores'"
        )
    files = {ProbabilityFile: probabilities, EntropyFile: entropy}
    with map_files(files, sample.source_affine, sample.source_shape) as sinks:
        return segmentor.predict(**data, on_source=True, sinks=sinks)[0]


def segmentation_on_source_grid(sample: VolumeDataSample) -> np.ndarray:
    """Predicted class ids on the grid of the image file.

    Args:
        sample: From :func:`segment_volume`.

    Returns:
        (X0, Y0, Z0) uint8, or uint16 where ids beyond 255 occur.
    """
    labels = sample.pred_sem_seg.data[0].cpu().numpy()
    labels = labels.astype(np.uint8 if labels.max(initial=0) <= np.iinfo(np.uint8).max else np.uint16, copy=False)
    return to_source_grid(
        labels, sample.pred_sem_seg.get('affine', sample.affine), sample.source_affine, sample.source_shape
    )


def save_segmentation(sample: VolumeDataSample, path: ImagePath) -> None:
    """Write the predicted class ids on the grid of the image.

    The file appears whole or not at all; see :func:`~medctx3d.utils.grid_file.write_on_grid`.

    Args:
        sample: From :func:`segment_volume`.
        path: ``.nii.gz``, ``.nii``, ``.nrrd`` or ``.mha`` file to write.
    """
    image = sample.image_path
    write_labels(path, segmentation_on_source_grid(sample), like=image if isinstance(image, str) else image[0])

"""How a config prepares the volumes that it is to predict."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from medctx3d.datasets import VolumeDataset
from medctx3d.datasets.pipeline import build_pipeline
from medctx3d.datasets.transforms import LoadVolume
from medctx3d.registry import DATASETS


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


def load_transforms(dataset: VolumeDataset) -> list[Any]:
    """The load pipeline of a data set, built for prediction: integers stay as they are stored until needed."""
    transforms = list(build_pipeline(dataset.load_pipeline, dataset.metainfo).transforms)
    return [LoadVolume(dataset.metainfo, keep_integers=True) if type(one) is LoadVolume else one for one in transforms]

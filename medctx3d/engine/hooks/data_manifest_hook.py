"""The record of the images that a training saw."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from medctx3d.registry import HOOKS
from medctx3d.utils.data_manifest import FILE_NAME, read_manifest, see_images, write_manifest


@HOOKS.register_module()
class DataManifestHook(Hook):
    """Write ``data_manifest.json`` into the work dir: file and voxel SHA-256 of every training image.

    For pretraining: who starts from its checkpoints later can be told whether one of these images is in a test split.
    Every image is read once, before the first iteration; a manifest of the same cases that is there already is kept.
    """

    @master_only
    def before_train(self, runner: Runner) -> None:
        """Hash the images.

        Raises:
            TypeError: The training set has no list of cases.
        """
        dataset = runner.train_dataloader.dataset
        records = getattr(dataset, 'data_list', None)
        if not isinstance(records, list):
            raise TypeError(
                f'DataManifestHook: {type(dataset).__name__} has no data_list; drop the hook from custom_hooks'
            )
        cases = [(str(record['case']), _paths(record['image'])) for record in records]
        path = Path(runner.work_dir) / FILE_NAME
        if path.is_file() and {image.case for image in read_manifest(path)} == {case for case, _ in cases}:
            return
        write_manifest(path, see_images(cases))


def _paths(image: Any) -> list[str]:
    """One path, or one per channel."""
    return [str(image)] if isinstance(image, (str, os.PathLike)) else [str(path) for path in image]

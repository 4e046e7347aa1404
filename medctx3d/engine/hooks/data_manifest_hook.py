"""The record of the images that a training saw."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from medctx3d.engine.unwrapped import unwrapped
from medctx3d.engine.weights.origin import KEY, manifest_in, manifest_of, pretrained_parts
from medctx3d.registry import HOOKS
from medctx3d.utils.data_manifest import FILE_NAME, SeenImage, as_rows, read_manifest, see_images, write_manifest


@HOOKS.register_module()
class DataManifestHook(Hook):
    """Write ``data_manifest.json`` into the work dir: file and voxel SHA-256 of every training image.

    For pretraining: who starts from its checkpoints later can be told whether one of these images is in a test split.
    Every checkpoint carries the same rows in its ``meta``, wherever it is copied to. Images that the weights saw
    before are in both too: those of a checkpoint that is resumed or loaded, and those of pretrained weights.

    Every file is hashed before the first iteration. Voxels are read once: of a file that is the same as at the last
    time, by its SHA-256, the manifest that is there has their hash.
    """

    def __init__(self) -> None:
        self._images: list[SeenImage] = []
        self._before: list[SeenImage] = []  # seen by the weights that this training goes on from

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember what the checkpoint that is resumed or loaded was trained on."""
        self._before = manifest_in(checkpoint, 'the checkpoint') or []

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
        before = list(self._before)
        for _, pretrained in pretrained_parts(unwrapped(runner)):
            before += manifest_of(pretrained.checkpoint) or []
        path = Path(runner.work_dir) / FILE_NAME
        known = [*before, *(read_manifest(path) if path.is_file() else ())]
        seen = see_images(((str(record['case']), _paths(record['image'])) for record in records), known)
        self._images = list({image[2:]: image for image in (*before, *seen)}.values())
        write_manifest(path, self._images)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the rows into the checkpoint."""
        if self._images:
            checkpoint['meta'][KEY] = as_rows(self._images)


def _paths(image: Any) -> list[str]:
    """One path, or one per channel."""
    return [str(image)] if isinstance(image, (str, os.PathLike)) else [str(path) for path in image]

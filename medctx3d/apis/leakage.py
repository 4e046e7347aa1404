"""Did the pretraining see what is scored here? Answered by content, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.config import Config

from medctx3d.datasets import VolumeDataset
from medctx3d.datasets.checks import few, image_paths
from medctx3d.registry import DATASETS
from medctx3d.utils.data_manifest import SeenImage, SharedImage, see_images, shared_images

SCORED = ('val', 'test')


class LeakageError(ValueError):
    """Images of the pretraining are scored downstream.

    Attributes:
        shared: They, by split.
    """

    def __init__(self, message: str, shared: dict[str, list[SharedImage]]) -> None:
        super().__init__(message)
        self.shared = shared


def split_images(config: Config, stage: str) -> list[SeenImage]:
    """The images of a split of a config, hashed.

    Args:
        config: With ``<stage>_dataloader``.
        stage: ``train``, ``val`` or ``test``.

    Raises:
        ValueError: The data set has no list of files, or a file is no volume.
        OSError: A list or a file is missing.
    """
    return see_images(_split_files(config, stage))


def leaks(seen: Sequence[SeenImage], config: Config, stages: Sequence[str] = SCORED) -> dict[str, list[SharedImage]]:
    """The images of the pretraining that are scored by a config, by split; a file that serves twice is read once."""
    files = {stage: _split_files(config, stage) for stage in stages if config.get(f'{stage}_dataloader')}
    cases = dict.fromkeys(case for listed in files.values() for case in listed)
    found = {case: shared_images(seen, see_images([case])) for case in cases}
    shared = {stage: [one for case in listed for one in found[case]] for stage, listed in files.items()}
    return {stage: ones for stage, ones in shared.items() if ones}


def _split_files(config: Config, stage: str) -> list[tuple[str, tuple[str, ...]]]:
    """The cases of a split, whatever arguments chose them: id and image files."""
    dataset = DATASETS.build(dict(config[f'{stage}_dataloader']['dataset'], lazy_init=True))
    if not isinstance(dataset, VolumeDataset):
        raise ValueError(f'{stage}_dataloader.dataset must be a VolumeDataset, got {type(dataset).__name__}')
    dataset.read_list()
    return [(str(record['case']), tuple(image_paths(record))) for record in dataset.data_list]


def refuse_leaks(shared: dict[str, list[SharedImage]], weights: object) -> None:
    """Raise :class:`LeakageError` if anything is shared.

    Raises:
        LeakageError: The message names the cases.
    """
    if not shared:
        return
    told = '; '.join(
        f'{stage}: {few([_names(one) for one in found])} ({len(found)} images)' for stage, found in shared.items()
    )
    raise LeakageError(
        f'the pretraining of {weights} saw images that are scored here: {told}. Take them out of the split, use '
        "other weights, or say that it is meant: init_cfg=dict(type='PretrainedWeights', ..., allow_leakage=True) "
        '(tools/check_leakage.py: --allow-leakage)',
        shared,
    )


def _names(shared: SharedImage) -> str:
    seen = '' if shared.seen.case == shared.found.case else f' as {shared.seen.case}'
    return f'{shared.found.case}{seen} (same {shared.alike})'

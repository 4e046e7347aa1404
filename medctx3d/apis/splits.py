"""The splits of a config: checked against each other, then file by file, before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.config import Config

from medctx3d.datasets import VolumeDataset
from medctx3d.datasets.checks import check_splits, few
from medctx3d.registry import DATASETS
from medctx3d.utils.config_check import ConfigError

STAGES = ('train', 'val', 'test')


def check_config_splits(config: Config, stages: Sequence[str] = STAGES) -> list[VolumeDataset]:
    """Refuse a config whose splits are empty or share a case, also where they come from different lists.

    Lists and headers are read here, voxels are not; see :func:`prepare_splits`.

    Args:
        config: With ``train_dataloader``, ``val_dataloader`` and ``test_dataloader``, each of which may be missing.
        stages: Whose files are checked.

    Returns:
        The data sets of ``stages``, each with its list.

    Raises:
        ValueError: A split is empty, a case is in two splits, or a header breaks a rule; the message names them.
        FileNotFoundError: A list or a file is missing.
    """
    datasets = {stage: _build(config, stage) for stage in stages if config.get(f'{stage}_dataloader')}
    splits = {}
    seen: dict[tuple, str] = {}
    for stage, dataset in datasets.items():
        if not isinstance(dataset, VolumeDataset):
            continue
        dataset.read_list()
        source = (dataset.ann_file, str(dataset.data_root), dataset.split, dataset.cases)
        if stage == 'test' and seen.get(source) == 'val':
            continue  # testing on the validation split is a choice, training on it is not
        seen[source] = stage
        splits[f'{stage}: {dataset.split}'] = dataset.data_list
    check_splits(splits)
    ours = [dataset for dataset in datasets.values() if isinstance(dataset, VolumeDataset)]
    for dataset in ours:
        dataset.check_headers()
    return ours


def prepare_splits(datasets: Sequence[VolumeDataset]) -> None:
    """Read every voxel once: into the store where there is one, else only to see that it can be used.

    Args:
        datasets: From :func:`check_config_splits`.

    Raises:
        ValueError: A volume breaks a rule; the message names the file.
        OSError: A file cannot be read, or the disk of the store is full.
    """
    for dataset in datasets:
        dataset.prepare_volumes()


def require_labels(datasets: Sequence[VolumeDataset]) -> None:
    """Refuse cases without truth where they are to be scored.

    Raises:
        ValueError: Cases have no label; the message names up to five.
    """
    for dataset in datasets:
        bare = [str(record['case']) for record in dataset.data_list if not record.get('label')]
        if bare:
            raise ValueError(
                f'{dataset.ann_file}: every case of split {dataset.split!r} needs a label to be scored, {len(bare)} '
                f'have none: {few(bare)}. Add "label" to the list, or segment them with tools/infer.py'
            )


def _build(config: Config, stage: str) -> object:
    try:
        return DATASETS.build(dict(config[f'{stage}_dataloader']['dataset'], lazy_init=True))
    except (TypeError, KeyError) as error:
        words = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise ConfigError(f'{stage}_dataloader.dataset cannot be built: {words}') from error

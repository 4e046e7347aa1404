"""The splits of a config, checked against each other."""

from __future__ import annotations

from mmengine.config import Config

from medctx3d.datasets import VolumeDataset
from medctx3d.datasets.checks import check_splits
from medctx3d.registry import DATASETS


def check_config_splits(config: Config) -> None:
    """Refuse a config whose splits are empty or share a case, also where they come from different lists.

    Only the lists are read here; files are checked when the data sets are built.

    Args:
        config: With ``train_dataloader``, ``val_dataloader`` and ``test_dataloader``, each of which may be missing.

    Raises:
        ValueError: A split is empty, or a case is in two splits; the message names the cases.
    """
    splits = {}
    seen: dict[tuple, str] = {}
    for stage in ('train', 'val', 'test'):
        loader = config.get(f'{stage}_dataloader')
        if not loader:
            continue
        dataset = DATASETS.build(dict(loader['dataset'], lazy_init=True))
        if not isinstance(dataset, VolumeDataset):
            continue
        source = (dataset.ann_file, str(dataset.data_root), dataset.split)
        if stage == 'test' and seen.get(source) == 'val':
            continue  # testing on the validation split is a choice, training on it is not
        seen[source] = stage
        splits[f'{stage}: {dataset.split}'] = dataset.load_data_list()
    check_splits(splits)

"""A config of Volume Fusion is judged before anything is read: batches, crops, classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medctx3d.apis.config_consistency import check_consistency
from medctx3d.engine import load_config
from medctx3d.utils.config_check import ConfigError

CONFIG = Path(__file__).parents[2] / 'configs' / 'volume_fusion' / 'unet_hippocampus.py'
VIEW = {
    'model.data_preprocessor.pairing': 'same_volume',
    'model.data_preprocessor.view': dict(type='RandomViews', size=(24, 40, 24), zoom=(0.7, 1.5)),
}


def judged(**options: Any) -> None:
    check_consistency(load_config(CONFIG, options))


def test_the_shipped_config_fits():
    judged()


def test_larger_crops_for_views_of_one_volume_fit_whatever_their_size():
    """The network is shown the view, not the crop that it is cut from."""
    crop = dict(type='ForegroundCrop', size=(31, 45, 29))
    judged(**VIEW, **{'train_dataloader.dataset.pipeline': [crop, dict(type='PackVolume')]})


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'train_dataloader.batch_size': 1}, r'train_dataloader .*batch_size=2 or more, got 1'),
        ({'val_dataloader.batch_size': 1}, r'val_dataloader .*batch_size=2 or more, got 1'),
        ({'patch_size': (8, 8, 8), 'model.data_preprocessor.sampling.smallest': 8}, r'at least \(13, 13, 13\)'),
        (
            {'model.data_preprocessor.num_levels': 3},
            'makes 4 classes; train_dataloader.dataset.metainfo.classes has 5',
        ),
    ],
)
def test_what_cannot_be_fused_is_told_with_its_place(options, message):
    with pytest.raises(ConfigError, match=message):
        judged(**options)

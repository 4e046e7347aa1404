"""The picture of what Volume Fusion makes of a data set."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from matplotlib.image import imread
from mmengine.config import Config

from tools import show_fusion

CONFIG = Path(__file__).parents[2] / 'configs' / 'volume_fusion' / 'unet_hippocampus.py'


@pytest.fixture
def options(nifti_dataset):
    dataset = 'train_dataloader.dataset'
    return [
        f'{dataset}.type=VolumeDataset',
        f'{dataset}.data_root={nifti_dataset}',
        f'{dataset}.store=None',
        f'{dataset}.part=(0.0,1.0)',
        'patch_size=(16,16,16)',
    ]


@pytest.mark.parametrize('axis', ['0', '2'])
def test_three_samplings_are_drawn(options, tmp_path, axis, capsys):
    out = tmp_path / 'picture.png'
    show_fusion.main([str(CONFIG), '--out', str(out), '--axis', axis, '--cfg-options', *options])
    assert str(out) in capsys.readouterr().out
    picture = imread(out)
    assert picture.shape[1] > picture.shape[0] > 300
    assert picture[..., :3].std() > 0.1


def test_a_row_shows_the_pair_that_was_fused():
    preprocessor = show_fusion.fusion_of(
        Config(dict(model=dict(data_preprocessor=dict(type='VolumeFusionPreprocessor'))))
    )
    inputs = torch.stack([torch.zeros(1, 16, 16, 16), torch.ones(1, 16, 16, 16)])
    row = show_fusion.fuse(preprocessor, inputs, axis=2, seed=0)
    assert (row.background == 0).all()
    assert (row.foreground == 1).all()
    assert (abs(row.fused * 4 - row.levels) < 1e-5).all()


def test_a_config_that_fuses_nothing_is_refused():
    config = Config(dict(model=dict(type='VolumeSegmentor')))
    with pytest.raises(ValueError, match=r'fuses nothing.*got VolumePreprocessor'):
        show_fusion.fusion_of(config)

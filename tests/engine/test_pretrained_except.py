"""Pretrained weights: whole, but for what is named."""

from __future__ import annotations

import pytest
import torch
from conftest import tiny_segmentor_config
from mmengine.model import BaseModule

from medctx3d.engine import CheckpointError
from medctx3d.registry import MODELS

OUTS = 'decode_head.outs.*'


@pytest.fixture
def checkpoint(tmp_path):
    """A pretrained U-Net with five classes."""
    torch.manual_seed(1)
    model = MODELS.build(tiny_segmentor_config(medcontext=False, num_classes=5))
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'pretrained.pth')
    return tmp_path / 'pretrained.pth', model


def network(path, **options) -> BaseModule:
    config = tiny_segmentor_config(medcontext=False, num_classes=3)['network']
    config['init_cfg'] = dict(
        type='PretrainedExcept', checkpoint=str(path), **{'prefix': 'network.', 'leave_out': (OUTS,), **options}
    )
    torch.manual_seed(0)
    return MODELS.build(config)


def test_all_is_loaded_but_what_is_named(checkpoint):
    path, pretrained = checkpoint
    started = network(path)
    before = {name: value.clone() for name, value in started.state_dict().items()}
    started.init_weights()
    source = pretrained.network.state_dict()
    for name, value in started.state_dict().items():
        expected = before if name.startswith('decode_head.outs.') else source
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(leave_out=()), r'of another shape: decode_head\.outs\..*\(5, .* in the file, \(3,'),
        (dict(prefix='backbone.'), r"missing \(under the prefix 'backbone\.'\): backbone\."),
        (dict(leave_out=(OUTS, 'out.*')), r'1 to leave out that this network has not: out\.\*'),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_loaded(checkpoint, options, message):
    path, _ = checkpoint
    started = network(path, **options)
    before = {name: value.clone() for name, value in started.state_dict().items()}
    with pytest.raises(CheckpointError, match=message):
        started.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in started.state_dict().items())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.pth'):
        network(tmp_path / 'none.pth').init_weights()

"""``init_cfg=dict(type='PretrainedWeights', ...)``: one line that fills a network, or stops the training."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import tiny_segmentor_config
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from torch import Tensor, nn

from medctx3d.engine.weights import CoverageError
from medctx3d.registry import MODELS

PRETRAINED = dict(type='PretrainedWeights')


def trained_state(tmp_path: Path, config: dict[str, Any]) -> tuple[Path, dict[str, Tensor]]:
    torch.manual_seed(5)
    state = {name: torch.randn_like(value) for name, value in MODELS.build(config).state_dict().items()}
    torch.save(dict(state_dict=state, meta={}), tmp_path / 'iter_9.pth')
    return tmp_path / 'iter_9.pth', state


def started(place: str, **arguments: Any) -> nn.Module:
    """A segmentor whose model, network or backbone has the line in its config."""
    config = tiny_segmentor_config(medcontext=False)
    holder = {'model': config, 'network': config['network'], 'backbone': config['network']['backbone']}[place]
    holder['init_cfg'] = dict(PRETRAINED, **arguments)
    model = MODELS.build(config)
    model.init_weights()
    return model


@pytest.mark.parametrize('place', ['model', 'network', 'backbone'])
@pytest.mark.parametrize('part', ['encoder', 'encoder_decoder'])
def test_one_line_fills_the_part_wherever_it_stands(place: str, part: str, tmp_path: Path) -> None:
    file, state = trained_state(tmp_path, tiny_segmentor_config(medcontext=False))
    model = started(place, checkpoint=str(file), part=part)
    for name, value in model.state_dict().items():
        wanted = name.startswith('network.backbone.') or (part == 'encoder_decoder' and place != 'backbone')
        assert torch.equal(value, state[name]) == wanted, name


def test_training_does_not_begin_with_weights_of_another_network(tmp_path: Path) -> None:
    file = tmp_path / 'other.pth'
    torch.save(dict(state_dict={'network.backbone.other': torch.rand(1)}), file)
    with pytest.raises(CoverageError, match=r'1 unused.*100\.0% is asked for'):
        started('network', checkpoint=str(file))


def test_what_became_of_each_tensor_is_in_the_log(tmp_path: Path) -> None:
    file, _ = trained_state(tmp_path, tiny_segmentor_config(medcontext=False, num_classes=5))
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        started('network', checkpoint=str(file), part='encoder_decoder')
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
    told = [line for line in lines if line.startswith('pretrained weights: ')]
    assert 'coverage of the encoder 100.0%' in told[0]
    assert told[1] == 'pretrained weights: new: decode_head.outs.0.conv.conv.weight number of classes 5 -> 3'


class Zeroed(nn.Conv3d):
    """A layer with an initialisation of its own, as those of mmcv have."""

    def init_weights(self) -> None:
        nn.init.zeros_(self.weight)


class SelfInitialising(BaseModule):
    """A backbone of a layer that mmengine initialises after the module that holds it."""

    out_channels, out_strides = (2,), (1,)

    def __init__(self, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.conv = Zeroed(1, 2, 3)
        self.linear = nn.Sequential(nn.Linear(2, 2))


def test_layers_with_an_initialisation_of_their_own_do_not_undo_it(tmp_path: Path) -> None:
    torch.manual_seed(1)
    state = {
        f'network.backbone.{name}': torch.randn_like(value) for name, value in SelfInitialising().state_dict().items()
    }
    torch.save(state, tmp_path / 'encoder.pth')
    backbone = SelfInitialising(dict(PRETRAINED, checkpoint=str(tmp_path / 'encoder.pth')))
    backbone.init_weights()
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, state[f'network.backbone.{name}']), name

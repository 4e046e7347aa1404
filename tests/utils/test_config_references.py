"""One place types a value, others refer to it."""

from __future__ import annotations

import pytest
from mmengine.config import Config

from medctx3d.engine import load_config
from medctx3d.utils.config_check import ConfigError
from medctx3d.utils.config_references import referenced_names, resolve_references

BTCV = 'configs/swin_unetr/swinunetr_btcv.py'


def test_references_take_the_value_wherever_they_stand() -> None:
    config = Config(dict(side=(4, 5, 6), model=dict(roi='$side', parts=[dict(size='$side'), '$side']), path='$HOME/x'))
    assert referenced_names(config) == {'side'}
    resolve_references(config)
    assert config.model.roi == config.model.parts[0].size == config.model.parts[1] == (4, 5, 6)
    assert config.path == '$HOME/x'


def test_a_list_that_is_referred_to_is_not_shared() -> None:
    config = Config(dict(names=['a'], first=dict(of='$names'), second=dict(of='$names')))
    resolve_references(config)
    config.first.of.append('b')
    assert config.second.of == config.names == ['a']


@pytest.mark.parametrize('value', ['$absent', '$other'])
def test_a_reference_to_nothing_is_refused_with_its_place(value: str) -> None:
    config = Config(dict(other='$absent', model=dict(parts=[dict(size=value)])))
    with pytest.raises(ConfigError, match=r"model\.parts\.0\.size='\$"):
        resolve_references(config)


def test_the_command_line_has_the_last_word_everywhere() -> None:
    config = load_config(BTCV, {'patch_size': (64, 64, 64), 'num_classes': 3})
    assert config.model.inferer.roi_size == (64, 64, 64)
    assert config.train_dataloader.dataset.pipeline[0].size == (64, 64, 64)
    assert config.model.network.decode_head.num_classes == 3


def test_a_variable_that_nothing_refers_to_is_refused_on_the_command_line() -> None:
    with pytest.raises(ConfigError, match="nothing reads 'load_pipeline'"):
        load_config(BTCV, {'load_pipeline': []})


def test_a_value_may_refer_to_others_in_turn() -> None:
    config = Config(dict(outer='$inner', uses=dict(probe='$hook'), hook=dict(size='$side'), inner=1, side=3))
    config.pop('outer')
    resolve_references(config)
    assert config.uses.probe.size == config.hook.size == 3


def test_a_value_that_refers_to_itself_is_refused() -> None:
    config = Config(dict(hook=dict(again='$hook')))
    with pytest.raises(ConfigError, match=r"hook\.again='\$hook'"):
        resolve_references(config)


def test_another_data_root_is_taken_by_every_data_set() -> None:
    config = load_config(BTCV, {'data_root': 'elsewhere'})
    assert config.train_dataloader.dataset.data_root == config.test_dataloader.dataset.data_root == 'elsewhere'

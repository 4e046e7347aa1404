"""The networks of configs/_base_/models have as many parameters as the published ones, to the last."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from medctx3d.engine import load_config
from medctx3d.registry import MODELS
from medctx3d.utils.config_references import resolve_references

CONFIGS = Path(__file__).parents[2] / 'configs'
BASES = CONFIGS / '_base_' / 'models'
TABLE = CONFIGS.parent / 'docs' / 'explanation' / 'networks' / 'index.md'
BASELINES = {  # name: config; other folders hold methods, on the same networks
    path.stem: path
    for path in CONFIGS.glob('*/*_btcv.py')
    if path.parent.name not in ('lrc', 'medcontext', 'volume_fusion', 'voco')
}
FLAT = (2, 2, 1)  # a stride that leaves the slice axis alone
BTCV, ACDC = (1, FLAT, 2, 2, 2, FLAT), (1, FLAT, FLAT, 2, FLAT, FLAT)  # recomputed plans
SEVEN = dict(  # the plan of ResEnc L for BTCV
    strides=(1, FLAT, 2, 2, 2, 2, FLAT),
    channels=(32, 64, 128, 256, 320, 320, 320),
    depths=(1, 3, 4, 6, 6, 6, 6),
)
ALL = dict(levels=5)  # the published network also has the level that it weighs 0


def count(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def build(config: dict) -> torch.nn.Module:
    if config.get('backbone', {}).get('type') == 'SwinUNETREncoder':  # computes with content while it is built
        return MODELS.build(config)
    with torch.device('meta'):
        return MODELS.build(config)


def network(base: str, *, channels: int = 1, classes: int = 14, crop: int = 96, **parts: dict) -> torch.nn.Module:
    """A base's network on the meta device, its backbone, decode head or net changed by ``parts``."""
    config = Config.fromfile(BASES / f'{base}.py')
    config.merge_from_dict(dict(in_channels=channels, num_classes=classes, patch_size=(crop,) * 3))
    config.merge_from_dict(dict(model=dict(network=parts)))
    resolve_references(config)
    return build(config.model.network)


@pytest.mark.parametrize(
    ('base', 'options', 'total', 'decoder'),
    [
        ('nnunet_plain', dict(decode_head=ALL), 31_205_254, 17_180_134),
        ('nnunet_plain', dict(channels=4, classes=4, decode_head=ALL), 31_199_796, None),
        ('nnunet_plain', dict(backbone=dict(strides=BTCV), decode_head=ALL), 30_713_158, None),
        ('nnunet_plain', dict(classes=4, backbone=dict(strides=ACDC), decode_head=ALL), 30_012_884, None),
        ('nnunet_resenc', dict(decode_head=ALL), 102_359_430, 12_062_854),
        ('nnunet_resenc', dict(channels=4, classes=4, decode_head=ALL), 102_353_972, None),
        ('nnunet_resenc', dict(backbone=dict(strides=BTCV), decode_head=ALL), 101_867_334, None),
        ('nnunet_resenc', dict(classes=4, backbone=dict(strides=ACDC), decode_head=ALL), 100_945_876, None),
        ('nnunet_resenc', dict(backbone=SEVEN, decode_head=dict(levels=6)), 141_411_028, None),
        ('pcrlv2', dict(channels=4, classes=3), 16_753_955, None),
        ('pcrlv2', dict(classes=1), 7_027_776 + 9_723_457, 9_723_457),
        ('unetr', dict(backbone=dict(feature_size=16)), 92_784_046, 2_678_766),
        ('unetr', {}, 101_787_214, 9_141_710),
        ('unetr', dict(channels=4, classes=3, crop=128), 111_454_051, None),
        ('unetr', dict(channels=4, classes=3, crop=128, backbone=dict(feature_size=16)), 102_449_715, None),
        ('swinunetr', dict(backbone=dict(feature_size=12)), 4_078_220, None),
        ('swinunetr', {}, 62_187_296, 19_598_510),
    ],
)
def test_a_split_network_has_the_published_number_of_parameters(base, options, total, decoder):
    built = network(base, **options)
    assert count(built) == total
    assert decoder is None or count(built.decode_head) == decoder


@pytest.mark.parametrize(('options', 'published'), [({}, 5_564_807), (dict(deep_supervision=False), 5_551_311)])
def test_mednext_of_monai_lacks_one_parameter_that_the_published_one_never_uses(options, published):
    assert count(network('mednext', net=options)) == published - 1


@pytest.mark.parametrize('name', sorted(BASELINES))
def test_the_table_of_networks_states_the_number_of_the_btcv_config(name):
    row = re.search(rf'^\| \[`{name.removesuffix("_btcv")}`\].*$', TABLE.read_text(encoding='utf-8'), re.MULTILINE)
    assert f'| {count(build(load_config(BASELINES[name]).model.network)):,} |' in row[0]

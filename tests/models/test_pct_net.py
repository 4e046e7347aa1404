"""PCT-Net: published counts and names, modes, levels, crops, and the published attention."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from medctx3d.models.blocks.swin_blocks import SwinBlock
from medctx3d.models.networks import PCTNet

TINY = dict(channels=(4, 6, 8, 12, 16), num_heads=(2, 2, 4), windows=(3, 3, 3))
SIZES = {0: (16, 16, 16), 1: (16, 16, 8), 2: (16, 16, 4)}  # smallest crops


def on_meta(**options) -> PCTNet:
    with torch.device('meta'):
        return PCTNet(1, 2, **options)


def tiny(**options) -> PCTNet:
    torch.manual_seed(0)
    return PCTNet(1, 3, **{**TINY, **options})


def count(*modules: nn.Module) -> int:
    return sum(weight.numel() for module in modules for weight in module.parameters())


def published_names() -> list[str]:
    """The tensors of a published file, from the sheet's list of its modules."""
    norm = ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')

    def layers(prefix, *kinds):  # BatchNorm, PReLU, convolution by their place in a Sequential
        names = {'n': norm, 'a': ('weight',), 'c': ('weight', 'bias')}
        return [f'{prefix}.{place}.{leaf}' for place, kind in enumerate(kinds) for leaf in names.get(kind, ())]

    def pair(prefix):
        return layers(f'{prefix}.conv_conv', *'nacnadc')

    def single(prefix):
        return layers(prefix, *'nac')

    found = []
    for mode in '012':
        embedding, head = f'embeddings.{mode}', f'pred_heads.{mode}'
        found += [f'{embedding}.proj.weight', f'{embedding}.proj.bias']
        for conv in ('conv0', 'conv1'):
            found += pair(f'{embedding}.{conv}') + pair(f'{head}.{conv}')
        for step in ('1', '2'):
            found += single(f'{embedding}.down{step}.conv')
            found += single(f'{head}.up{step}.up') + single(f'{head}.up{step}.conv')
        found += single(f'{head}.out_conv0.conv') + single(f'{head}.out_conv1.conv')
    pyramid = 'pyramid_ct'
    for step in ('3', '4'):
        found += single(f'{pyramid}.down{step}.conv')
        found += single(f'{pyramid}.up{step}.up') + single(f'{pyramid}.up{step}.conv')
    found += single(f'{pyramid}.out_conv2.conv') + single(f'{pyramid}.out_conv3.conv')
    linear = ('norm1', 'attn.qkv', 'attn.proj', 'norm2', 'mlp.fc1', 'mlp.fc2')
    for block in ('e2', 'd2', 'e3', 'd3', 'e4'):
        prefix = f'{pyramid}.convtrans_{block}'
        found += [*pair(f'{prefix}.conv'), f'{prefix}.norm_layer.weight', f'{prefix}.norm_layer.bias']
        for index in '01':
            swin = f'{prefix}.trans.blocks.{index}'
            found += [f'{swin}.{layer}.{leaf}' for layer in linear for leaf in ('weight', 'bias')]
            found += [f'{swin}.attn.relative_position_bias_table', f'{swin}.attn.relative_position_index']
    return found


def test_the_published_layout_has_the_published_number_of_parameters():
    network = on_meta(published_layout=True)
    assert [count(part) for part in network.embeddings.values()] == [353_942, 332_774, 229_094]
    assert [count(part) for part in network.pred_heads.values()] == [370_926, 324_846, 134_382]
    assert count(network.pyramid_ct) == 43_541_766
    assert count(network) == 45_287_730
    assert [count(getattr(network.pyramid_ct, f'convtrans_{level}')) for level in ('e2', 'e3', 'e4')] == [
        1_292_954,
        5_141_810,
        20_507_234,
    ]
    assert count(on_meta(published_layout=True, channels=(32, 64, 128, 256, 512))) == 46_365_954


@pytest.mark.parametrize(
    ('mode', 'active', 'millions'), [(0, 44_264_074, 44.27), (1, 44_196_826, 44.20), (2, 43_902_682, 43.91)]
)
def test_one_mode_has_what_is_active_of_it(mode, active, millions):
    network = on_meta(mode=mode, levels=4)
    idle_norms = 2 * 2 * (128 + 256) + 2 * 512  # the sheet counts the layer normalisations that nothing passes through
    assert count(network) == active
    assert round((active + idle_norms) / 1e6, 2) == millions
    published = on_meta(mode=mode, levels=4, published_layout=True)
    assert sum(weight.numel() for weight in published.parameters() if weight.requires_grad) == active


def test_names_and_shapes_are_those_of_the_published_files():
    state = on_meta(published_layout=True).state_dict()
    assert sorted(state) == sorted(published_names())
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert shapes['embeddings.1.proj.weight'] == (24, 1, 1, 3, 3)  # slices first
    assert shapes['pred_heads.1.up1.up.2.weight'] == (48, 24, 1, 2, 2)
    assert shapes['pyramid_ct.convtrans_e2.trans.blocks.0.attn.relative_position_bias_table'] == (1331, 4)
    assert shapes['pyramid_ct.convtrans_e4.trans.blocks.1.attn.relative_position_index'] == (216, 216)
    small = on_meta(published_layout=True, windows=(6, 6, 4)).state_dict()  # as published for mode 0 at 64x128x128
    assert small['pyramid_ct.convtrans_e4.trans.blocks.0.attn.relative_position_bias_table'].shape == (343, 16)


@pytest.mark.parametrize('mode', [0, 1, 2])
def test_the_default_layout_is_a_part_of_the_published_one_that_is_trained_whole(mode):
    network = tiny(mode=mode, levels=4)
    assert set(network.state_dict()) < set(tiny(mode=mode, levels=4, published_layout=True).state_dict())
    assert [name for name in network.state_dict() if re.match(rf'(embeddings|pred_heads)\.(?!{mode})', name)] == []
    levels = network(torch.randn(2, 1, *SIZES[mode]))
    sum(level.square().mean() for level in levels).backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


def test_the_published_layout_answers_alike_and_trains_no_idle_weight():
    network, whole = tiny(levels=2).eval(), tiny(levels=2, published_layout=True).eval()
    whole.load_state_dict(network.state_dict(), strict=False)
    inputs = torch.randn(2, 1, 16, 32, 16)
    for one, other in zip(network(inputs), whole(inputs), strict=True):
        assert torch.equal(one, other)
    sum(level.square().mean() for level in whole(inputs)).backward()
    assert all((weight.grad is None) == (not weight.requires_grad) for weight in whole.parameters())


@pytest.mark.parametrize(
    ('mode', 'coarser'),
    [
        (0, [(2, 2, 2), (4, 4, 4), (8, 8, 8)]),
        (1, [(2, 2, 1), (4, 4, 2), (8, 8, 4)]),
        (2, [(2, 2, 1), (4, 4, 1), (8, 8, 2)]),
    ],
)
def test_levels_are_halved_as_the_mode_says(mode, coarser):
    logits = on_meta(mode=mode, levels=4)(torch.zeros(1, 1, 128, 128, 64, device='meta'))
    expected = [(128 // x, 128 // y, 64 // z) for x, y, z in [(1, 1, 1), *coarser]]
    assert [tuple(level.shape) for level in logits] == [(1, 2, *size) for size in expected]


@pytest.mark.parametrize('crop', [(16, 16, 8), (48, 32, 24), (32, 80, 8)])
def test_one_network_takes_every_crop_that_its_strides_divide(crop):
    with torch.no_grad():
        assert tiny(mode=1).eval()(torch.randn(1, 1, *crop))[0].shape == (1, 3, *crop)


def test_the_slice_axis_is_the_last_one_of_a_volume():
    network = tiny(mode=2).eval()
    inputs = torch.randn(1, 1, 16, 16, 4)
    _, half, _ = network.embeddings['2'](inputs.transpose(2, 4))
    changed = inputs.clone()
    changed[..., 1] += 1
    _, other, _ = network.embeddings['2'](changed.transpose(2, 4))
    moved = (half != other).flatten(3).any(3).any(1)[0]  # by slice: kernels of mode 2 leave slices apart
    assert moved.tolist() == [False, True, False, False]


def test_published_index_changes_the_answer_and_reaches_every_block():
    default, published = tiny().eval(), tiny(published_position_index=True).eval()
    published.load_state_dict(default.state_dict())
    for network in (default, published):
        for name, weight in network.named_parameters():
            if name.endswith('bias_table'):
                weight.data.copy_(torch.linspace(-3, 3, weight.numel()).view_as(weight))
    inputs = torch.randn(1, 1, 32, 32, 16)
    assert not torch.equal(default(inputs)[0], published(inputs)[0])
    blocks = [module for module in published.modules() if isinstance(module, SwinBlock)]
    assert len(blocks) == 10
    assert {block.attn.factors for block in blocks} == {(8, 5, 1)}


def test_weights_of_the_other_index_are_refused():
    published = tiny(published_position_index=True, published_layout=True).state_dict()
    with pytest.raises(RuntimeError, match='set published_position_index=True'):
        tiny(published_layout=True).load_state_dict(published)
    with pytest.raises(RuntimeError, match='set published_position_index=True'):
        tiny().load_state_dict(published, strict=False)
    tiny(published_position_index=True, published_layout=True).load_state_dict(published)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(mode=3), r'mode must be 0 \(isotropic\)'),
        (dict(levels=5), r'levels must lie in 1\.\.4, got 5'),
        (dict(channels=(4, 8)), 'channels must be five'),
        (dict(num_heads=(3, 2, 4)), 'num_heads must divide the 8 channels'),
        (dict(windows=(3, 3)), 'windows must be three positive'),
        (dict(dropout=(0.1,)), 'dropout must be one probability per level'),
    ],
)
def test_what_cannot_be_built_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        tiny(**wrong)


def test_a_crop_that_its_strides_do_not_divide_is_refused_with_one_that_fits():
    with pytest.raises(
        ValueError, match=r'multiples of \(16, 16, 8\) in mode 1, got \(40, 16, 12\): take \(32, 16, 16\)'
    ):
        tiny()(torch.zeros(1, 1, 40, 16, 12))

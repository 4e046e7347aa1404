"""UNETR++: sizes of the published variants, its one crop, masks and levels."""

import pytest
import torch

from medctx3d.models.blocks import EPABlock
from medctx3d.registry import BACKBONES, HEADS, MODELS

SEPARATE = dict(projection='separate', convolutions=2, attention_dropout=0.1)
SUMMED = dict(projection='matrix', fusion='sum', attention_dropout=0.1)
VARIANTS = {  # channels, classes, crop, backbone, what both halves are told
    'synapse': (1, 14, (128, 128, 64), {}, {}),
    'acdc': (1, 4, (160, 160, 16), dict(token_patch=(4, 4, 1)), SEPARATE),
    'tumour': (4, 4, (128, 128, 128), dict(token_patch=4), SUMMED),
    'lung': (1, 2, (192, 192, 32), dict(token_patch=(4, 4, 1)), SEPARATE),
}
CROP = (32, 32, 16)
COMMON = dict(img_size=CROP, num_heads=2)
TINY = dict(
    in_channels=1, feature_size=4, channels=(8, 16, 32), depths=(1, 1, 1), projection_sizes=(8, 8, 4), **COMMON
)
TINY_HEAD = dict(num_classes=3, depths=(1, 1), projection_size=8, **COMMON)


def build(backbone, head):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='EncoderDecoder',
            backbone=dict(type='UNETRPlusPlusEncoder', **backbone),
            decode_head=dict(type='UNETRPlusPlusDecoder', **head),
        )
    )


def on_meta(variant):
    channels, classes, crop, backbone, common = VARIANTS[variant]
    with torch.device('meta'):
        network = build(
            dict(in_channels=channels, img_size=crop, **backbone, **common),
            dict(num_classes=classes, img_size=crop, levels=3, **common),
        )
        return network.eval(), torch.zeros(1, channels, *crop)


def count(module):
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize(
    ('variant', 'encoder', 'decoder', 'heads', 'total'),
    [
        ('synapse', 27_387_232, 15_564_008, 1_610, 42_952_850),
        ('acdc', 44_619_776, 22_176_168, 460, 66_796_404),
        ('tumour', 27_131_168, 15_515_976, 460, 42_647_604),
        ('lung', 71_854_208, 49_320_360, 230, 121_174_798),
    ],
)
def test_parameters_are_those_of_the_published_network(variant, encoder, decoder, heads, total):
    network, _ = on_meta(variant)
    skip, outs = count(network.backbone.skip), count(network.decode_head.outs)  # published with the decoder
    counts = count(network.backbone) - skip, count(network.decode_head) - outs + skip, outs, count(network)
    assert counts == (encoder, decoder, heads, total)


@pytest.mark.parametrize(
    ('variant', 'grids'),
    [
        ('synapse', [(128, 128, 64), (32, 32, 32), (16, 16, 16), (8, 8, 8), (4, 4, 4)]),
        ('acdc', [(160, 160, 16), (40, 40, 16), (20, 20, 8), (10, 10, 4), (5, 5, 2)]),
        ('tumour', [(128, 128, 128), (32, 32, 32), (16, 16, 16), (8, 8, 8), (4, 4, 4)]),
        ('lung', [(192, 192, 32), (48, 48, 32), (24, 24, 16), (12, 12, 8), (6, 6, 4)]),
    ],
)
def test_features_and_levels_have_the_published_grids(variant, grids):
    network, inputs = on_meta(variant)
    answer = network(inputs)
    assert [tuple(feature.shape[2:]) for feature in answer.features] == grids
    assert [feature.shape[1] for feature in answer.features] == [16, 32, 64, 128, 256]
    assert [tuple(level.shape[2:]) for level in answer.logits] == grids[:3]


def test_every_parameter_is_trained_by_the_levels():
    network = build(TINY, dict(TINY_HEAD, levels=3))
    logits = network(torch.randn(2, 1, *CROP)).logits
    assert [tuple(level.shape[2:]) for level in logits] == [(32, 32, 16), (8, 8, 8), (4, 4, 4)]
    sum(level.square().mean() for level in logits).backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


def test_skips_are_added():
    network = build(TINY, TINY_HEAD).eval()
    features = [feature.detach().requires_grad_() for feature in network.backbone(torch.randn(1, 1, *CROP))]
    entered = []
    for blocks in network.decode_head.blocks:
        blocks.register_forward_pre_hook(lambda module, inputs: entered.append(inputs[0]))
    network.decode_head(tuple(features))
    for volume, skip in zip(entered, features[-2::-1], strict=True):  # coarsest first
        (gradient,) = torch.autograd.grad(volume.sum(), skip)
        assert torch.equal(gradient, torch.ones_like(skip))


def test_linear_layers_start_small_in_the_encoder_alone():
    network = build({**TINY, **SUMMED}, {**TINY_HEAD, **SUMMED})
    encoder, decoder = network.backbone.stages[0][0], network.decode_head.blocks[1][0]
    assert encoder.attention.project.weight.std().item() == pytest.approx(0.02, rel=0.2)
    assert decoder.attention.project.weight.std().item() == pytest.approx(1 / (3 * 8) ** 0.5, rel=0.2)  # torch's own
    for block in (encoder, decoder):  # the matrix is uniform in both
        assert block.attention.projections[0].weight.abs().max().item() == pytest.approx(8**-0.5, rel=0.05)
        assert not block.position.any()
        assert torch.equal(block.scale, torch.full((8,), 1e-6))


def test_the_published_order_reaches_every_block():
    published = dict(published_spatial_order=True)
    network = build({**TINY, **published}, {**TINY_HEAD, **published})
    blocks = [module for module in network.modules() if isinstance(module, EPABlock)]
    assert [block.attention.published_spatial_order for block in blocks] == [True] * 5


def test_the_stem_has_a_group_per_input_channel_unless_told_otherwise():
    groups = [
        BACKBONES.build({'type': 'UNETRPlusPlusEncoder', **TINY, **options}).embeddings[0][1].num_groups
        for options in ({}, dict(in_channels=4), dict(in_channels=3, stem_groups=2))
    ]
    assert groups == [1, 4, 2]


def test_hidden_tokens_leak_through_the_full_resolution_skip_alone():
    backbone = build(dict(TINY, token_masking=True), TINY_HEAD).backbone.eval()
    inputs = torch.randn(1, 1, *CROP, requires_grad=True)
    skip, *stages = backbone(inputs, torch.ones(1, 2, 2, 2, dtype=torch.bool))
    (through_skip,) = torch.autograd.grad(skip.square().sum(), inputs)
    (through_tokens,) = torch.autograd.grad(sum(stage.square().sum() for stage in stages), inputs, allow_unused=True)
    assert through_skip.any()
    assert through_tokens is None or not through_tokens.any()


def test_hidden_tokens_are_the_mask_token_and_positions_come_after():
    backbone = build(dict(TINY, token_masking=True), TINY_HEAD).backbone
    backbone.mask_token.data.normal_()
    seen = []
    backbone.stages[0].register_forward_pre_hook(lambda blocks, inputs: seen.append(inputs[0]))
    mask = torch.rand(1, 4, 4, 4) > 0.5
    backbone(torch.randn(1, 1, *CROP), mask)
    cells = mask.repeat_interleave(2, 1).repeat_interleave(2, 2).repeat_interleave(2, 3)
    tokens = seen[0].movedim(1, -1)
    assert torch.equal(tokens[cells], backbone.mask_token.expand(int(cells.sum()), -1))
    assert not torch.isclose(tokens[~cells], backbone.mask_token).all(dim=-1).any()


def test_state_dict_goes_into_a_fresh_network():
    first, second = build(TINY, TINY_HEAD).eval(), build(TINY, TINY_HEAD).eval()
    for weight in first.parameters():
        weight.data.add_(0.01)
    second.load_state_dict(first.state_dict(), strict=True)
    inputs = torch.randn(1, 1, *CROP)
    with torch.no_grad():
        assert torch.equal(first(inputs).logits[0], second(inputs).logits[0])


def test_a_step_in_bfloat16_moves_every_parameter_by_a_finite_gradient():
    # No grid below 4: where a kernel is longer, torch's bfloat16 convolutions on a CPU leave gradients unwritten.
    network = build(dict(TINY, token_patch=(2, 2, 1)), dict(TINY_HEAD, levels=3)).train()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        logits = network(torch.randn(2, 1, *CROP)).logits
        loss = sum(level.float().square().mean() for level in logits)
    loss.backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())


def test_another_crop_is_refused_by_both_halves():
    network = build(TINY, dict(TINY_HEAD, img_size=(64, 32, 16)))
    with pytest.raises(ValueError, match=r'built for crops of \(32, 32, 16\) voxels, got \(64, 32, 16\)'):
        network(torch.randn(1, 1, 64, 32, 16))
    with pytest.raises(ValueError, match='give backbone and decode_head one img_size'):
        network(torch.randn(1, 1, *CROP))


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(img_size=(32, 32, 20)), r'img_size must be multiples of the coarsest stride \(16, 16, 8\)'),
        (dict(depths=(1, 1)), '3 channels, 2 depths and 3 projection_sizes'),
        (dict(in_channels=3), 'set stem_groups'),
        (dict(channels=(8, 12, 32)), 'channels must be multiples'),
    ],
)
def test_encoder_refuses_what_does_not_fit(wrong, message):
    with pytest.raises(ValueError, match=message):
        BACKBONES.build({'type': 'UNETRPlusPlusEncoder', **TINY, **wrong})


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(levels=4), 'levels must lie in 1..3, got 4'),
        (dict(depths=(1, 1, 1)), '4 features need 2 depths'),
        (dict(strides=(2, 4, 8, 16)), 'the first at stride 1'),
        (dict(strides=(1, 4, 6, 16)), 'must be a multiple of the one before'),
    ],
)
def test_decoder_refuses_what_does_not_fit(wrong, message):
    seam = dict(type='UNETRPlusPlusDecoder', in_channels=(4, 8, 16, 32), strides=(1, 4, 8, 16))
    with pytest.raises(ValueError, match=message):
        HEADS.build({**seam, **TINY_HEAD, **wrong})

"""nnFormer: sizes of the published variants, crops, masks and levels."""

import pytest
import torch

from medctx3d.registry import BACKBONES, HEADS, MODELS

SLAB = (5, 5, 3)
VARIANTS = {  # backbone, decode head, canonical crop
    'synapse': (dict(in_channels=1), dict(num_classes=14, levels=3), (128, 128, 64)),
    'acdc': (
        dict(
            in_channels=1,
            feature_size=96,
            token_patch=(4, 4, 1),
            down_strides=((2, 2, 1), 2, 2),
            windows=(SLAB, SLAB, (10, 10, 7), SLAB),
        ),
        dict(num_classes=4, windows=(SLAB, SLAB, (10, 10, 7))),
        (160, 160, 14),
    ),
    'tumour': (
        dict(in_channels=4, feature_size=96, token_patch=4),
        dict(num_classes=4, num_heads=(6, 12, 24)),  # the published slip
        (128, 128, 128),
    ),
}
TINY = dict(in_channels=1, feature_size=8, num_heads=(1, 2, 2, 4), windows=(2, 2, 2, 2), drop_path_rate=0.0)
TINY_HEAD = dict(num_classes=3, num_heads=(1, 2, 2), windows=(2, 2, 2), drop_path_rate=0.0)
CROP = (32, 32, 16)


def build(backbone, head):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='EncoderDecoder',
            backbone=dict(type='NNFormerEncoder', **backbone),
            decode_head=dict(type='NNFormerDecoder', **head),
        )
    )


def on_meta(variant, **head):
    backbone, published, crop = VARIANTS[variant]
    with torch.device('meta'):
        return build(backbone, {**published, **head}).eval(), torch.zeros(1, backbone['in_channels'], *crop)


def count(module):
    return sum(weight.numel() for weight in module.parameters())


@pytest.mark.parametrize(
    ('variant', 'levels', 'encoder', 'decoder', 'heads', 'total'),
    [
        ('synapse', 3, 119_045_772, 30_406_284, 602_154, 150_054_210),
        ('synapse', 1, 119_045_772, 30_406_284, 86_030, 149_538_086),
        ('acdc', 1, 29_539_794, 7_614_258, 6_148, 37_160_200),
        ('acdc', 3, 29_539_794, 7_614_258, 43_020, 37_197_072),
        ('tumour', 1, 29_839_734, 7_742_412, 24_580, 37_606_726),
        ('tumour', 3, 29_839_734, 7_742_412, 172_044, 37_754_190),
    ],
)
def test_parameters_are_those_of_the_published_network(variant, levels, encoder, decoder, heads, total):
    network, _ = on_meta(variant, levels=levels)
    outs = count(network.decode_head.outs)
    counts = count(network.backbone), count(network.decode_head) - outs, outs, count(network)
    assert counts == (encoder, decoder, heads, total)


def test_the_tumour_decoder_without_the_published_slip_has_half_the_heads():
    network, _ = on_meta('tumour', num_heads=None)
    assert [level.cross.attention.num_heads for level in network.decode_head.levels] == [3, 6, 12]
    assert count(network) == 37_606_726 - 87_174


@pytest.mark.parametrize(
    ('variant', 'grids'),
    [
        ('synapse', [(32, 32, 32), (16, 16, 16), (8, 8, 8), (4, 4, 4)]),
        ('acdc', [(40, 40, 14), (20, 20, 14), (10, 10, 7), (5, 5, 3)]),
        ('tumour', [(32, 32, 32), (16, 16, 16), (8, 8, 8), (4, 4, 4)]),
    ],
)
def test_grids_at_the_canonical_crop_are_the_crop_over_the_strides_rounded_down(variant, grids):
    network, inputs = on_meta(variant, levels=3)
    answer = network(inputs)
    assert [tuple(feature.shape[2:]) for feature in answer.features] == grids
    crop, strides = inputs.shape[2:], network.backbone.out_strides
    assert grids == [tuple(side // step for side, step in zip(crop, stride, strict=True)) for stride in strides]
    patch = network.backbone.token_patch
    levels = [tuple(side * step for side, step in zip(grid, patch, strict=True)) for grid in grids[:3]]
    assert [tuple(level.shape[2:]) for level in answer.logits] == levels
    assert levels[0] == tuple(crop)


@pytest.mark.parametrize('crop', [CROP, (36, 44, 18), (32, 48, 32)])
def test_one_network_takes_any_crop_that_the_token_patch_divides(crop):
    network = build(TINY, TINY_HEAD).eval()
    with torch.no_grad():
        assert network(torch.randn(1, 1, *crop)).logits[0].shape == (1, 3, *crop)


def test_every_parameter_is_trained_by_the_levels():
    network = build(TINY, dict(TINY_HEAD, levels=3))
    logits = network(torch.randn(1, 1, *CROP)).logits
    assert [tuple(level.shape[2:]) for level in logits] == [(32, 32, 16), (16, 16, 8), (8, 8, 4)]
    sum(level.square().mean() for level in logits).backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


def test_stochastic_depth_grows_with_depth_in_the_encoder_and_towards_the_image_in_the_decoder():
    network = build(dict(TINY, drop_path_rate=0.2), dict(TINY_HEAD, drop_path_rate=0.2))
    encoder = [block.drop_path.drop_prob for stage in network.backbone.stages for block in stage.blocks]
    levels = network.decode_head.levels
    decoder = [block.drop_path.drop_prob for level in levels[::-1] for block in (level.cross, *level.blocks)]
    assert encoder == pytest.approx([index * 0.2 / 7 for index in range(8)])
    assert decoder == pytest.approx([index * 0.2 / 5 for index in range(6)])


def test_published_deviations_reach_every_block():
    published = dict(shift_mask=False, published_position_index=True)
    network = build({**TINY, **published}, {**TINY_HEAD, **published})
    attentions = [module for module in network.modules() if type(module).__name__ == 'WindowAttention']
    assert len(attentions) == 14
    assert all(not attention.shift_mask and attention.published_position_index for attention in attentions)


def test_an_odd_grid_is_halved_from_its_first_token_on():
    down = build(TINY, TINY_HEAD).backbone.downs[0]
    features = torch.randn(1, 8, 7, 4, 4, requires_grad=True)
    halved = down(features)
    assert halved.shape == (1, 16, 3, 2, 2)
    halved[:, :, 0].sum().backward()
    assert (features.grad.abs().sum(dim=(0, 1, 3, 4)) > 0).tolist() == [True] * 3 + [False] * 4


def test_a_stage_starts_from_what_the_one_before_gave_before_its_norm():
    backbone = build(TINY, TINY_HEAD).backbone.eval()
    inputs = torch.randn(1, 1, *CROP)
    with torch.no_grad():
        before = backbone(inputs)
        backbone.norms[0].weight.zero_()
        after = backbone(inputs)
    assert after[0].abs().max() == 0
    assert all(torch.equal(a, b) for a, b in zip(before[1:], after[1:], strict=True))


def reach(hidden):
    """Which voxel planes along X reach any answer when the tokens of these planes of cells are hidden."""
    network = build(dict(TINY, token_patch=4, token_masking=True), TINY_HEAD).eval()
    inputs = torch.randn(1, 1, 32, 32, 32, requires_grad=True)
    mask = torch.zeros(1, 8, 8, 8, dtype=torch.bool)
    mask[:, hidden] = True
    answer = network(inputs, mask)
    sum(output.square().sum() for output in (*answer.logits, *answer.features)).backward()
    return (inputs.grad.abs().sum(dim=(0, 1, 3, 4)) > 0).tolist()


def test_no_skip_passes_the_hidden_tokens_by():
    assert not any(reach(slice(None)))


def test_hidden_voxels_are_seen_no_farther_than_the_stem_overlaps():
    assert reach(slice(4, None)) == [True] * 22 + [False] * 10  # six voxels behind the last visible token
    assert reach(slice(0, 4)) == [False] * 7 + [True] * 25  # nine before the first


def test_hidden_tokens_are_the_mask_token():
    backbone = build(dict(TINY, token_masking=True), TINY_HEAD).backbone
    backbone.mask_token.data.normal_()
    seen = []
    backbone.stages[0].blocks[0].register_forward_pre_hook(lambda block, tokens: seen.append(tokens[0]))
    mask = torch.rand(1, 4, 4, 4) > 0.5
    backbone(torch.randn(1, 1, *CROP), mask)
    cells = mask.repeat_interleave(2, 1).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(seen[0][cells], backbone.mask_token.expand(int(cells.sum()), -1))
    assert not torch.isclose(seen[0][~cells], backbone.mask_token).all(dim=-1).any()


def test_state_dict_goes_into_a_fresh_network():
    first, second = build(TINY, TINY_HEAD).eval(), build(TINY, TINY_HEAD).eval()
    for weight in first.parameters():
        weight.data.add_(0.01)
    second.load_state_dict(first.state_dict(), strict=True)
    inputs = torch.randn(1, 1, *CROP)
    with torch.no_grad():
        assert torch.equal(first(inputs).logits[0], second(inputs).logits[0])


def test_a_step_in_bfloat16_moves_every_parameter_by_a_finite_gradient():
    network = build(dict(TINY, drop_path_rate=0.2), dict(TINY_HEAD, levels=3)).train()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        logits = network(torch.randn(2, 1, 36, 32, 18)).logits  # padded and shifted windows
        loss = sum(level.float().square().mean() for level in logits)
    loss.backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())


@pytest.mark.parametrize(
    ('crop', 'told'), [((34, 32, 16), 'multiples of token_patch'), ((28, 32, 16), r'at least the coarsest stride')]
)
def test_crops_that_it_cannot_take_are_named(crop, told):
    with pytest.raises(ValueError, match=told):
        build(TINY, TINY_HEAD)(torch.randn(1, 1, *crop))


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(feature_size=9), 'feature_size must be even'),
        (dict(token_patch=(8, 4, 4)), 'token_patch must be 1, 2 or 4'),
        (dict(down_strides=(2, 2, 3)), 'down_strides must be 1 or 2'),
        (dict(depths=(2, 2, 2)), '3 depths, 4 num_heads, 4 windows and 3 down_strides'),
        (dict(num_heads=None), 'give num_heads'),
        (dict(num_heads=(3, 2, 2, 4)), 'num_heads must divide the 8 channels'),
    ],
)
def test_encoder_refuses_what_does_not_fit(wrong, message):
    with pytest.raises(ValueError, match=message):
        BACKBONES.build({'type': 'NNFormerEncoder', **TINY, **wrong})


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(levels=4), 'levels must lie in 1..3, got 4'),
        (dict(windows=(2, 2)), '4 features need 3 depths'),
        (dict(strides=(1, 2, 4)), 'each with its stride'),
        (dict(strides=(1, 2, 6, 12)), 'stay or double'),
    ],
)
def test_decoder_refuses_what_does_not_fit(wrong, message):
    seam = dict(type='NNFormerDecoder', in_channels=(8, 16, 32, 64), strides=(1, 2, 4, 8))
    with pytest.raises(ValueError, match=message):
        HEADS.build({**seam, **TINY_HEAD, **wrong})

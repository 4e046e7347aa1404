"""The nnU-Net family: kernels that follow from strides, the layers written out, and the initial weights."""

import math

import pytest
import torch
from torch.nn import functional as F

from medctx3d.models.blocks.nnunet_blocks import INSTANCE_AFFINE, ResidualBlock, initialise
from medctx3d.models.blocks.strides import kernels_for, stage_strides, total_strides
from medctx3d.registry import BACKBONES, HEADS, MODELS

FLAT = (2, 2, 1)  # a stride that leaves the slice axis alone
PLANS = [  # strides and kernels of plans for BTCV at 0.76 x 0.76 x 3 mm, ACDC, and isotropic voxels
    ((1, FLAT, 2, 2, 2, FLAT), ((3, 3, 1), 3, 3, 3, 3, 3)),
    ((1, FLAT, 2, 2, 2, 2, FLAT), ((3, 3, 1), 3, 3, 3, 3, 3, 3)),
    ((1, FLAT, FLAT, 2, FLAT, FLAT), ((3, 3, 1), (3, 3, 1), 3, 3, 3, 3)),
    ((1, 2, 2, 2, 2, 2), (3, 3, 3, 3, 3, 3)),
]


def build(*, block='plain', channels=(4, 6, 8), strides=(1, FLAT, 2), depths=2, head=None):
    torch.manual_seed(0)
    backbone = dict(
        type='NNUNetEncoder', in_channels=2, channels=channels, strides=strides, block=block, depths=depths
    )
    decode_head = dict(type='NNUNetDecoder', num_classes=3, **(head or {}))
    return MODELS.build(dict(type='EncoderDecoder', backbone=backbone, decode_head=decode_head))


@pytest.mark.parametrize(('strides', 'kernels'), PLANS)
def test_kernels_follow_from_the_strides_as_planned(strides, kernels):
    assert kernels_for(strides) == tuple((size,) * 3 if isinstance(size, int) else size for size in kernels)


def test_total_and_stage_strides_are_inverse():
    totals = total_strides((1, FLAT, 2, (1, 2, 2)))
    assert totals == ((1, 1, 1), (2, 2, 1), (4, 4, 2), (4, 8, 4))
    assert stage_strides(totals) == ((1, 1, 1), FLAT, (2, 2, 2), (1, 2, 2))


def reference_layer(weights, prefix, inputs, stride=(1, 1, 1), act=True):
    """Convolution, instance norm with weights, leaky ReLU, by name of the weights."""
    kernel = weights[f'{prefix}.conv.weight']
    padding = [(side - 1) // 2 for side in kernel.shape[2:]]
    out = F.conv3d(inputs, kernel, weights[f'{prefix}.conv.bias'], stride, padding)
    out = F.instance_norm(out, weight=weights[f'{prefix}.adn.N.weight'], bias=weights[f'{prefix}.adn.N.bias'])
    return F.leaky_relu(out, 0.01) if act else out


def randomise(network):
    """Weights that no initialisation would give, so that nothing is hidden by zeros and ones."""
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(std=0.3)
    return network.state_dict()


def test_plain_network_is_the_layers_of_its_description():
    network = build(head=dict(levels=2))
    weights = randomise(network)
    inputs = torch.randn(1, 2, 8, 8, 4)
    features, current = [], inputs
    for stage, stride in enumerate([(1, 1, 1), FLAT, (2, 2, 2)]):
        current = reference_layer(weights, f'backbone.stages.{stage}.0', current, stride)
        current = reference_layer(weights, f'backbone.stages.{stage}.1', current)
        features.append(current)
    logits = []
    for level, stride in ((1, (2, 2, 2)), (0, FLAT)):
        names = [f'decode_head.{part}.{level}' for part in ('ups', 'convs', 'outs')]
        current = F.conv_transpose3d(current, weights[f'{names[0]}.weight'], weights[f'{names[0]}.bias'], stride)
        current = torch.cat([current, features[level]], dim=1)
        current = reference_layer(weights, f'{names[1]}.0', current)
        current = reference_layer(weights, f'{names[1]}.1', current)
        logits.insert(0, F.conv3d(current, weights[f'{names[2]}.weight'], weights[f'{names[2]}.bias']))
    answer = network(inputs)
    assert len(answer.logits) == len(logits) == 2
    for mine, theirs in zip((*answer.features, *answer.logits), (*features, *logits), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


def test_residual_stage_is_the_layers_of_its_description():
    backbone = build(block='residual', depths=(1, 2, 1)).backbone
    weights = randomise(backbone)
    inputs = torch.randn(1, 2, 8, 8, 4)
    current = reference_layer(weights, 'stages.0.0', inputs)  # the stem
    inner = reference_layer(weights, 'stages.0.1.second', reference_layer(weights, 'stages.0.1.first', current), act=0)
    current = F.leaky_relu(inner + current, 0.01)
    shortcut = F.conv3d(F.avg_pool3d(current, FLAT), weights['stages.1.0.shortcut.1.conv.weight'])
    shortcut = F.instance_norm(
        shortcut,
        weight=weights['stages.1.0.shortcut.1.adn.N.weight'],
        bias=weights['stages.1.0.shortcut.1.adn.N.bias'],
    )
    inner = reference_layer(weights, 'stages.1.0.first', current, FLAT)
    current = F.leaky_relu(reference_layer(weights, 'stages.1.0.second', inner, act=0) + shortcut, 0.01)
    inner = reference_layer(weights, 'stages.1.1.second', reference_layer(weights, 'stages.1.1.first', current), act=0)
    current = F.leaky_relu(inner + current, 0.01)
    assert torch.allclose(backbone(inputs)[1], current, atol=1e-5)


@pytest.mark.parametrize(('out_channels', 'stride'), [(4, (1, 1, 1)), (4, (2, 2, 1)), (6, (2, 2, 2))])
def test_a_new_residual_block_is_its_activated_shortcut(out_channels, stride):
    torch.manual_seed(0)
    block = ResidualBlock(4, out_channels, kernel=(3, 3, 3), stride=stride, norm=INSTANCE_AFFINE)
    inputs = torch.randn(2, 4, 8, 8, 8)
    assert not torch.allclose(block(inputs), F.leaky_relu(block.shortcut(inputs), 0.01))
    initialise(block)
    assert torch.equal(block(inputs), F.leaky_relu(block.shortcut(inputs), 0.01))


def test_initial_weights_are_he_s_and_biases_zero():
    network = build(channels=(32, 64), strides=(1, 2))
    convolution = network.backbone.stages[1][1].conv
    expected = math.sqrt(2 / (1 + 0.01**2) / (64 * 27))
    assert convolution.weight.std().item() == pytest.approx(expected, rel=0.05)
    up = network.decode_head.ups[0]
    expected = math.sqrt(2 / (1 + 0.01**2) / (32 * 8))  # fan-in of a transposed convolution: its output channels
    assert up.weight.std().item() == pytest.approx(expected, rel=0.05)
    assert all((weight == 0).all() for name, weight in network.named_parameters() if name.endswith('conv.bias'))


def test_given_kernels_replace_those_that_would_follow():
    kernels = (3, (1, 3, 3), 5)
    network = MODELS.build(
        dict(
            type='EncoderDecoder',
            backbone=dict(type='NNUNetEncoder', in_channels=1, channels=(2, 4, 4), strides=(1, 2, 2), kernels=kernels),
            decode_head=dict(type='NNUNetDecoder', num_classes=2, kernels=kernels, depth=1),
        )
    )
    assert network.backbone.stages[1][0].conv.kernel_size == network.decode_head.convs[1][0].conv.kernel_size
    assert [stage[0].conv.kernel_size[0] for stage in network.backbone.stages] == [3, 1, 5]
    assert network(torch.randn(1, 1, 8, 8, 8)).logits[0].shape == (1, 2, 8, 8, 8)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(strides=(1, 2)), 'one stride and one depth per stage'),
        (dict(depths=(2, 2)), 'one stride and one depth per stage'),
        (dict(depths=0), 'at least 1, got'),
        (dict(block='dense'), "'plain' or 'residual', got 'dense'"),
        (dict(strides=(2, 2, 2)), r'first stride must be 1, got \(2, 2, 2\)'),
        (dict(strides=(1, (2, 2), 2)), r'one number or one per axis \(X, Y, Z\)'),
        (dict(kernels=(3, 3)), 'odd and one per stage'),
        (dict(kernels=(3, 2, 3)), 'odd and one per stage'),
    ],
)
def test_encoder_refuses_plans_that_do_not_fit(options, message):
    config = dict(type='NNUNetEncoder', in_channels=1, channels=(2, 4, 4), strides=(1, 2, 2))
    with pytest.raises(ValueError, match=message):
        BACKBONES.build({**config, **options})


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(in_channels=(4,), strides=(1,)), 'two features or more'),
        (dict(levels=3), r'levels must lie in 1\.\.2, got 3'),
        (dict(depth=0), 'depth must be at least 1, got 0'),
        (dict(strides=(2, 4, 8)), 'first feature must have stride 1, got 2: use UNetDecoder'),
        (dict(strides=(1, 2, 3)), 'multiple of the one before'),
    ],
)
def test_decoder_refuses_features_and_levels_it_cannot_use(options, message):
    config = dict(type='NNUNetDecoder', num_classes=2, in_channels=(2, 4, 4), strides=(1, 2, 4))
    with pytest.raises(ValueError, match=message):
        HEADS.build({**config, **options})


def test_crops_that_the_strides_do_not_divide_are_refused_with_the_multiple():
    with pytest.raises(ValueError, match=r'multiples of \(4, 4, 2\).*got \(8, 8, 3\)'):
        build()(torch.randn(1, 2, 8, 8, 3))

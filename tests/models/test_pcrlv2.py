"""PCRLv2's 3D U-Net: the layers of its description, and what the missing skips mean."""

import pytest
import torch
from torch.nn import functional as F

from medctx3d.registry import BACKBONES, HEADS, MODELS


def build(**head):
    torch.manual_seed(0)
    group = ('group', {'num_groups': 2})
    network = MODELS.build(
        dict(
            type='EncoderDecoder',
            backbone=dict(type='PCRLv2Encoder', in_channels=2, channels=(4, 8, 16), norm=group),
            decode_head=dict(type='PCRLv2Decoder', num_classes=3, norm=group, **head),
        )
    )
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(std=0.3)
    return network


def reference_layer(weights, prefix, inputs):
    """Convolution, group norm of two groups, ReLU, by name of the weights."""
    out = F.conv3d(inputs, weights[f'{prefix}.conv.weight'], weights[f'{prefix}.conv.bias'], padding=1)
    return F.group_norm(out, 2, weights[f'{prefix}.adn.N.weight'], weights[f'{prefix}.adn.N.bias']).relu()


@pytest.mark.parametrize('skips', [False, True])
def test_network_is_the_layers_of_its_description(skips):
    network = build(skips=skips)
    weights = network.state_dict()
    inputs = torch.randn(2, 2, 8, 8, 8)
    features, current = [], inputs
    for stage in range(3):
        current = F.max_pool3d(current, 2) if stage else current
        first = 1 if stage else 0  # behind the pooling
        for layer in (first, first + 1):
            current = reference_layer(weights, f'backbone.stages.{stage}.{layer}', current)
        features.append(current)
    for level in (1, 0):
        up = f'decode_head.ups.{level}'
        current = F.conv_transpose3d(current, weights[f'{up}.weight'], weights[f'{up}.bias'], 2)
        current = torch.cat([current, features[level]], dim=1) if skips else current
        for layer in (0, 1):
            current = reference_layer(weights, f'decode_head.convs.{level}.{layer}', current)
    logits = F.conv3d(current, weights['decode_head.out.weight'], weights['decode_head.out.bias'])
    answer = network(inputs)
    assert torch.allclose(answer.logits[0], logits, atol=1e-5)
    assert all(torch.allclose(mine, theirs, atol=1e-5) for mine, theirs in zip(answer.features, features, strict=True))


@pytest.mark.parametrize('skips', [False, True])
def test_finer_features_matter_only_with_skips(skips):
    network = build(skips=skips)
    features = network.backbone(torch.randn(1, 2, 8, 8, 8))
    changed = (*(feature + 1 for feature in features[:-1]), features[-1])
    same = torch.equal(network.decode_head(features).logits[0], network.decode_head(changed).logits[0])
    assert same != skips


@pytest.mark.parametrize(
    ('norm', 'kind'),
    [('batch', torch.nn.BatchNorm3d), (('instance', {'affine': True}), torch.nn.InstanceNorm3d)],
)
def test_norm_is_a_value(norm, kind):
    backbone = BACKBONES.build(dict(type='PCRLv2Encoder', in_channels=1, channels=(4, 8), norm=norm))
    assert sum(isinstance(module, kind) for module in backbone.modules()) == 4


def test_impossible_widths_and_features_are_refused():
    with pytest.raises(ValueError, match=r'channels must be even, got \(4, 7\)'):
        BACKBONES.build(dict(type='PCRLv2Encoder', in_channels=1, channels=(4, 7)))
    for seam, message in (
        (dict(in_channels=(4,), strides=(1,)), 'two features or more'),
        (dict(in_channels=(4, 8), strides=(2, 4)), 'first feature must have stride 1'),
    ):
        with pytest.raises(ValueError, match=message):
            HEADS.build(dict(type='PCRLv2Decoder', num_classes=2, **seam))
    with pytest.raises(ValueError, match=r'multiples of \(4, 4, 4\)'):
        build()(torch.randn(1, 2, 8, 8, 6))

"""Equality with MONAI and what single networks keep; test_network_contract.py has what all of them do."""

import pytest
import torch
from monai.networks.nets import UNETR, SwinUNETR

from medctx3d.models.networks import WholeNet
from medctx3d.registry import BACKBONES, MODELS

SWIN = dict(type='SwinUNETREncoder', in_channels=1, feature_size=12)
VIT = dict(
    type='UNETREncoder', in_channels=1, img_size=(32, 32, 32), feature_size=4, hidden_size=24, mlp_dim=48, num_heads=3
)
UNET = dict(type='UNetEncoder', in_channels=1, channels=(4, 8, 16), strides=(1, (2, 2, 1), 2))
EXAMPLES = {  # backbone, decode head, crop
    'SwinUNETREncoder': (SWIN, 'SwinUNETRDecoder', (64, 32, 32)),
    'UNETREncoder': (VIT, 'UNETRDecoder', (32, 32, 32)),
}


def build(name, **backbone):
    config, head, _ = EXAMPLES[name]
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='EncoderDecoder',
            backbone={**config, **backbone},
            decode_head=dict(type=head, num_classes=5),
        )
    )


def test_hidden_tokens_of_unetr_keep_their_position():
    network = build('UNETREncoder', token_masking=True).eval()
    backbone = network.backbone
    mask = torch.ones(1, 2, 2, 2, dtype=torch.bool)
    tokens = backbone._embed(torch.randn(1, 1, 32, 32, 32), mask)
    expected = backbone.mask_token + backbone.vit.patch_embedding.position_embeddings
    assert torch.allclose(tokens, expected)
    assert not torch.allclose(tokens[0, 0], tokens[0, 1])


def test_hidden_voxels_of_a_token_do_not_matter_to_the_transformer():
    backbone = build('UNETREncoder', token_masking=True).eval().backbone
    inputs = torch.randn(1, 1, 32, 32, 32)
    mask = torch.zeros(1, 2, 2, 2, dtype=torch.bool)
    mask[0, 1, 1, 1] = True
    changed = inputs.clone()
    changed[..., 16:, 16:, 16:] += 5
    first, second = backbone(inputs, mask), backbone(changed, mask)
    assert torch.equal(first[-1], second[-1])
    assert not torch.equal(first[0], second[0])  # the full-resolution skip leaks: why voxel masking is the default


@pytest.mark.parametrize('name', ['SwinUNETREncoder', 'UNETREncoder'])
def test_split_networks_equal_monai_with_the_same_weights(name):
    crop = EXAMPLES[name][2]
    torch.manual_seed(1)
    if name == 'SwinUNETREncoder':
        whole = SwinUNETR(in_channels=1, out_channels=5, feature_size=12)
    else:
        sizes = {key: value for key, value in VIT.items() if key != 'type'}
        whole = UNETR(out_channels=5, **sizes)
    whole.eval()
    network = build(name).eval()
    weights = {}
    for key, value in whole.state_dict().items():
        if 'cross_attn' in key:  # MONAI builds, and never calls, layers for cross attention
            continue
        key = key.replace('swinViT.patch_embed', 'patch_embed')
        half = 'decode_head.' if key.startswith(('decoder', 'out.')) else 'backbone.'
        weights[half + key] = value
    network.load_state_dict(weights, strict=True)
    inputs = torch.randn(1, 1, *crop)
    with torch.no_grad():
        assert torch.equal(network(inputs).logits[0], whole(inputs))


def test_decoder_restores_the_image_size_of_an_encoder_that_starts_coarser():
    network = MODELS.build(
        dict(
            type='EncoderDecoder',
            backbone=dict(type='UNetEncoder', in_channels=1, channels=(4, 8), strides=((2, 2, 1), 2)),
            decode_head=dict(type='UNetDecoder', num_classes=3),
        )
    )
    assert network(torch.randn(1, 1, 16, 16, 8)).logits[0].shape == (1, 3, 16, 16, 8)


@pytest.mark.parametrize(
    ('head', 'message'),
    [(dict(levels=3), 'levels must lie'), (dict(levels=0), 'levels must lie')],
)
def test_decoder_refuses_levels_it_cannot_give(head, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(
            dict(type='EncoderDecoder', backbone=UNET, decode_head=dict(type='UNetDecoder', num_classes=2, **head))
        )


@pytest.mark.parametrize(
    ('net', 'levels'),
    [
        (dict(type='monai.networks.nets.BasicUNet', out_channels=3, features=(4, 4, 8, 8, 8, 4)), 1),
        (
            dict(
                type='monai.networks.nets.DynUNet',
                spatial_dims=3,
                in_channels=1,
                out_channels=3,
                kernel_size=[3, 3, 3, 3],
                strides=[1, 2, 2, 2],
                upsample_kernel_size=[2, 2, 2],
                filters=[4, 8, 8, 8],
                deep_supervision=True,
                deep_supr_num=1,
            ),
            2,
        ),
    ],
)
def test_any_monai_network_answers_with_levels(net, levels):
    net = dict(net) if 'in_channels' in net else dict(net, in_channels=1)
    network = MODELS.build(dict(type='WholeNet', net=net)).train()
    logits = network(torch.randn(1, 1, 32, 32, 32)).logits
    assert len(logits) == levels
    assert all(level.shape[:2] == (1, 3) for level in logits)


def test_whole_net_refuses_token_masks_and_foreign_answers():
    with pytest.raises(ValueError, match="mask_space='voxel'"):
        WholeNet(torch.nn.Identity())(torch.randn(1, 1, 4, 4, 4), torch.ones(1, 1, 1, 1, dtype=torch.bool))

    class Odd(torch.nn.Module):
        def forward(self, inputs):
            return {'logits': inputs}

    with pytest.raises(TypeError, match='must answer with tensors'):
        WholeNet(Odd())(torch.randn(1, 1, 4, 4, 4))


def test_crop_sizes_that_a_network_cannot_take_are_named():
    with pytest.raises(ValueError, match='multiples of 32'):
        build('SwinUNETREncoder')(torch.randn(1, 1, 48, 32, 32))
    with pytest.raises(ValueError, match='was built for crops of'):
        build('UNETREncoder')(torch.randn(1, 1, 48, 32, 32))
    with pytest.raises(ValueError, match='multiples of 16'):
        BACKBONES.build(dict(VIT, img_size=(32, 40, 32)))
    with pytest.raises(ValueError, match='one stride per stage'):
        BACKBONES.build(dict(UNET, strides=(1, 2)))
    with pytest.raises(ValueError, match='features at strides 1, 2, 4'):
        MODELS.build(
            dict(type='EncoderDecoder', backbone=UNET, decode_head=dict(type='SwinUNETRDecoder', num_classes=2))
        )

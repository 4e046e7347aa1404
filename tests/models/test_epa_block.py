"""The block of UNETR++ against its formulas."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from medctx3d.models.blocks import EfficientPairedAttention, EPABlock

CHANNELS, TOKENS, HEADS, REDUCED = 8, 12, 2, 5
KINDS = list(itertools.product(['shared', 'separate', 'matrix'], ['concat', 'sum']))


def attention(projection='shared', fusion='concat', **options):
    torch.manual_seed(0)
    module = EfficientPairedAttention(
        CHANNELS,
        TOKENS,
        num_heads=HEADS,
        projection_size=REDUCED,
        projection=projection,
        fusion=fusion,
        dropout=0.1,
        **options,
    )
    for temperature in (module.channel_temperature, module.spatial_temperature):
        temperature.data.uniform_(0.5, 2)
    return module.double().eval()


def tokens_of(seed=0):
    return torch.randn(2, TOKENS, CHANNELS, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def branches(module, tokens):
    """X_s and X_c of every sample, token, head and channel of a head, each head by itself."""
    width = CHANNELS // HEADS
    queries, keys, of_channels, of_places = (tokens @ module.project.weight.T).split(CHANNELS, dim=-1)
    spatial, channel = [], []
    for head in range(HEADS):
        part = slice(head * width, (head + 1) * width)
        q, k, v_c, v_s = (x[..., part].transpose(1, 2) for x in (queries, keys, of_channels, of_places))  # (N, d, T)
        reduced = module.projections[0](k), module.projections[-1](v_s)
        q, k = (x / x.pow(2).sum(-1, keepdim=True).sqrt() for x in (q, k))
        scores = module.channel_temperature[head] * torch.einsum('nit,njt->nij', q, k)
        channel.append(torch.einsum('nij,njt->nti', scores.softmax(-1), v_c))
        scores = module.spatial_temperature[head] * torch.einsum('nit,nip->ntp', q, reduced[0])
        spatial.append(torch.einsum('ntp,nip->nti', scores.softmax(-1), reduced[1]))
    return torch.stack(spatial, dim=2), torch.stack(channel, dim=2)  # (N, T, heads, d)


@pytest.mark.parametrize(('projection', 'fusion'), KINDS)
def test_attention_equals_its_formulas(projection, fusion):
    module, tokens = attention(projection, fusion), tokens_of()
    with torch.no_grad():
        spatial, channel = (part.flatten(2) for part in branches(module, tokens))
        if fusion == 'sum':
            expected = channel + spatial
        else:
            expected = torch.cat([module.spatial_output(spatial), module.channel_output(channel)], dim=-1)
        assert torch.allclose(module(tokens), expected, atol=1e-12)


def test_published_order_fills_rows_with_tokens_of_one_channel():
    module, tokens = attention(fusion='sum', published_spatial_order=True), tokens_of()
    with torch.no_grad():
        spatial, channel = branches(module, tokens)
        scrambled = (module(tokens) - channel.flatten(2)).flatten(1)
    for place in range(TOKENS * CHANNELS):
        token, series = place % TOKENS, place // TOKENS
        expected = spatial[:, token, series % HEADS, series // HEADS]
        assert torch.allclose(scrambled[:, place], expected, atol=1e-12)


@pytest.mark.parametrize('published', [False, True])
def test_permuted_tokens_give_permuted_rows_only_in_the_right_order(published):
    module, tokens = attention(published_spatial_order=published), tokens_of()
    order = torch.randperm(TOKENS, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = module(tokens)
        for projection in module.projections:
            projection.weight.copy_(projection.weight[:, order])
        after = module(tokens[:, order])
    assert torch.allclose(after, before[:, order], atol=1e-12) != published


@pytest.mark.parametrize(
    ('projection', 'layers', 'weights'),
    [
        ('shared', 1, TOKENS * REDUCED + REDUCED),
        ('separate', 2, 2 * (TOKENS * REDUCED + REDUCED)),
        ('matrix', 1, TOKENS * REDUCED),
    ],
)
def test_token_projections_have_the_weights_of_their_kind(projection, layers, weights):
    projections = attention(projection).projections
    assert len(projections) == layers
    assert sum(weight.numel() for weight in projections.parameters()) == weights


def test_attention_dropout_acts_in_training_alone():
    module, tokens = attention(), tokens_of()
    assert torch.equal(module(tokens), module(tokens))
    assert not torch.equal(module.train()(tokens), module(tokens))


def block(convolutions=1, **options):
    torch.manual_seed(0)
    module = EPABlock(
        CHANNELS, (3, 2, 2), num_heads=HEADS, projection_size=REDUCED, convolutions=convolutions, **options
    )
    module.position.data.normal_()
    return module.double()


def volume():
    return torch.randn(2, CHANNELS, 3, 2, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize('convolutions', [1, 2])
def test_block_equals_its_formula_with_tokens_in_the_published_order(convolutions):
    module, features = block(convolutions).eval(), volume()
    module.scale.data.uniform_(0.5, 1)
    places = [(x, y, z) for z in range(2) for y in range(2) for x in range(3)]
    with torch.no_grad():
        tokens = torch.stack([features[:, :, x, y, z] for x, y, z in places], dim=1) + module.position
        tokens = tokens + module.scale * module.attention(module.norm(tokens))
        attended = torch.empty_like(features)
        for token, (x, y, z) in enumerate(places):
            attended[:, :, x, y, z] = tokens[:, token]
        residual = attended
        for layer in module.convolutions[:convolutions]:
            residual = layer(residual)
        last = module.convolutions[-1]
        expected = attended + F.conv3d(residual, last.weight, last.bias)
        assert torch.allclose(module(features), expected, atol=1e-12)
    assert [type(layer).__name__ for layer in module.convolutions] == [
        *['UnetResBlock'] * convolutions,
        'Dropout3d',
        'Conv3d',
    ]


def test_without_scale_the_block_is_convolutional():
    module = block().eval()
    module.scale.data.zero_()
    features = volume()
    before = module(features)
    for weight in module.attention.parameters():
        weight.data.normal_()
    assert torch.equal(module(features), before)


def test_checkpointing_counts_batch_statistics_once():
    plain, thrifty = block(), block(use_checkpoint=True)
    for module in (plain, thrifty):
        module.train()
        torch.manual_seed(3)
        module(volume()).square().sum().backward()
    assert all(torch.equal(a, b) for a, b in zip(plain.buffers(), thrifty.buffers(), strict=True))
    gradients = [[weight.grad for weight in module.parameters()] for module in (plain, thrifty)]
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(num_heads=3), 'num_heads must divide the 8 channels, got 3'),
        (dict(projection='none'), "projection must be one of .*, got 'none'"),
        (dict(fusion='mean'), "fusion must be one of .*, got 'mean'"),
        (dict(channels=7, num_heads=7), 'channels must be even, got 7'),
    ],
)
def test_arguments_that_do_not_fit_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        EfficientPairedAttention(**{'channels': CHANNELS, 'tokens': TOKENS, **wrong})

"""FMUNet: published counts and names, modes, levels and crops."""

from __future__ import annotations

import pytest
import torch

from medctx3d.models.networks import FMUNet

TINY = (4, 6, 8, 10, 12)


def on_meta(**options) -> FMUNet:
    with torch.device('meta'):
        return FMUNet(1, 2, **options)


def published_names() -> list[str]:
    found = ['project.weight', 'project.bias']

    def layers(prefix, *places):  # InstanceNorm and convolution by their place in a Sequential
        return [f'{prefix}.{place}.{leaf}' for place in places for leaf in ('weight', 'bias')]

    for level in range(5):
        for unit in (0, 1):
            found += layers(f'encoder.en_conv{level}.conv_list.{unit}', 0, 3)
            found += layers(f'decoder.de_conv{level}.conv_list.{unit}', 0, 3)
    for level in range(4):
        found += layers(f'encoder.down{level}.down', 0, 2) + layers(f'out_layers.{level}', 0, 2)
        found += layers(f'decoder.upcat{level}.up', 0, 2) + layers(f'decoder.upcat{level}.conv', 0, 2)
    return found


@pytest.mark.parametrize(
    ('mode', 'total', 'millions'), [(0, 47_332_680, 47.33), (1, 47_183_496, 47.18), (2, 46_591_368, 46.59)]
)
def test_parameters_are_those_of_the_published_network(mode, total, millions):
    found = sum(weight.numel() for weight in on_meta(mode=mode, levels=4).parameters())
    assert found == total
    assert round(found / 1e6, 2) == millions


def test_names_and_shapes_are_those_of_the_published_files():
    state = on_meta(mode=1, levels=4).state_dict()
    assert sorted(state) == sorted(published_names())
    assert state['project.weight'].shape == (32, 1, 1, 3, 3)  # slices first
    assert state['encoder.down1.down.2.weight'].shape == (128, 64, 3, 3, 3)


@pytest.mark.parametrize(
    ('mode', 'coarser'),
    [
        (0, [(2, 2, 2), (4, 4, 4), (8, 8, 8)]),
        (1, [(2, 2, 1), (4, 4, 2), (8, 8, 4)]),
        (2, [(2, 2, 1), (4, 4, 1), (8, 8, 2)]),
    ],
)
def test_levels_are_halved_as_the_mode_says(mode, coarser):
    logits = on_meta(mode=mode, levels=4)(torch.zeros(1, 1, 64, 48, 32, device='meta'))
    expected = [(64 // x, 48 // y, 32 // z) for x, y, z in [(1, 1, 1), *coarser]]
    assert [tuple(level.shape) for level in logits] == [(1, 2, *size) for size in expected]


@pytest.mark.parametrize('mode', [0, 1, 2])
def test_every_parameter_is_trained(mode):
    network = FMUNet(1, 3, TINY, mode=mode, levels=4)
    sum(level.square().mean() for level in network(torch.randn(1, 1, 32, 16, 16))).backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


def test_convolutions_start_by_he_and_units_are_residual():
    torch.manual_seed(0)
    network = FMUNet(1, 2)
    weight = network.encoder.en_conv3.conv_list[0][3].weight
    assert weight.std().item() == pytest.approx((2 / (1 + 0.01**2) / (256 * 27)) ** 0.5, rel=0.01)
    units = FMUNet(1, 2, TINY).encoder.en_conv1.eval()
    for unit in units.conv_list:
        torch.nn.init.zeros_(unit[3].weight)
    features = torch.randn(1, 6, 4, 4, 4)
    assert torch.equal(units(features), features)


def test_dropout_acts_on_the_three_deepest_levels():
    network = FMUNet(1, 2, TINY, dropout=0.3)
    for part, name in ((network.encoder, 'en_conv'), (network.decoder, 'de_conv')):
        rates = [part.get_submodule(f'{name}{level}').conv_list[0][2].p for level in range(5)]
        assert rates == [0, 0, 0.3, 0.3, 0.3]


def test_a_crop_that_its_strides_do_not_divide_is_refused_with_one_that_fits():
    with pytest.raises(
        ValueError, match=r'multiples of \(16, 16, 4\) in mode 2, got \(16, 24, 6\): take \(16, 32, 8\)'
    ):
        FMUNet(1, 2, TINY, mode=2)(torch.zeros(1, 1, 16, 24, 6))

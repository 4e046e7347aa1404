"""Reshaped weights answer as the originals did."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from medctx3d.engine.weights.reshaping import (
    differ_in_classes,
    inflate_channels,
    inflate_patch,
    resize_table,
    reverse_axes,
    without_ones,
)

channels = st.integers(1, 5)


@settings(max_examples=25, deadline=None)
@given(old=channels, new=channels, seed=st.integers(0, 99))
def test_the_response_to_equal_channels_does_not_depend_on_their_number(old: int, new: int, seed: int) -> None:
    torch.manual_seed(seed)
    weight = torch.randn(3, old, 3, 3, 3)
    inflated = inflate_channels(weight, (3, new, 3, 3, 3))
    if old == new:
        assert inflated is None
        return
    assert inflated is not None
    image = torch.randn(1, 1, 5, 5, 5)
    before, after = (
        F.conv3d(image.expand(-1, count, -1, -1, -1), one) for count, one in ((old, weight), (new, inflated))
    )
    assert torch.allclose(before, after, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(old=channels, new=channels, seed=st.integers(0, 99))
def test_the_same_holds_for_a_linear_patch_embedding_whose_channels_run_fastest(old: int, new: int, seed: int) -> None:
    torch.manual_seed(seed)
    voxels = 8
    weight = torch.randn(4, voxels * old)
    inflated = inflate_patch(weight, (4, voxels * new), voxels)
    if old == new:
        assert inflated is None
        return
    assert inflated is not None
    patch = torch.randn(voxels, 1)
    before, after = (one @ patch.expand(-1, count).flatten() for count, one in ((old, weight), (new, inflated)))
    assert torch.allclose(before, after, atol=1e-4)


def test_only_the_channel_axis_is_inflated() -> None:
    assert inflate_channels(torch.rand(3, 1, 3, 3, 3), (4, 2, 3, 3, 3)) is None
    assert inflate_channels(torch.rand(3, 1, 3, 3, 3), (3, 2, 3, 3, 1)) is None
    assert inflate_channels(torch.rand(3, 1), (3, 2)) is None


def test_a_reversed_kernel_acts_on_a_reversed_volume_as_the_kernel_on_the_volume() -> None:
    conv, volume = nn.Conv3d(1, 2, (1, 3, 5)), torch.rand(1, 1, 6, 7, 8)
    turned = F.conv3d(volume.permute(0, 1, 4, 3, 2), reverse_axes(conv.weight), conv.bias)
    assert torch.allclose(turned.permute(0, 1, 4, 3, 2), conv(volume), atol=1e-6)
    assert reverse_axes(conv.bias) is conv.bias


def test_a_table_that_is_linear_in_its_positions_stays_so_on_a_finer_grid() -> None:
    def ramp(side: int) -> torch.Tensor:
        grid = torch.stack(torch.meshgrid(*[torch.linspace(0, 1, side)] * 3, indexing='ij'), -1)
        return grid.reshape(-1, 3)

    assert torch.allclose(resize_table(ramp(3), (125, 3)), ramp(5), atol=1e-6)


def test_tables_whose_grid_is_unknown_are_left_alone() -> None:
    assert resize_table(torch.rand(1, 18, 4), (1, 27, 4)) is None
    assert resize_table(torch.rand(1, 27, 4), (1, 18, 4)) is None
    assert resize_table(torch.rand(1, 27, 4), (1, 12, 4), grid=(3, 2, 2)).shape == (1, 12, 4)


def test_axes_of_length_one_may_come_and_go_but_values_may_not_move() -> None:
    token = torch.rand(1, 1, 7)
    assert torch.equal(without_ones(token, (7,)), token.flatten())
    assert without_ones(torch.rand(2, 3), (3, 2)) is None


def test_classes_are_the_first_axis_alone() -> None:
    assert differ_in_classes((21, 4, 1, 1, 1), (3, 4, 1, 1, 1))
    assert not differ_in_classes((21, 4, 1, 1, 1), (3, 5, 1, 1, 1))
    assert not differ_in_classes((21, 4), (3, 4, 1))

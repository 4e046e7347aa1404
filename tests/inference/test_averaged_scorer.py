from __future__ import annotations

import pytest
import torch
from torch import nn

from medctx3d.inference import AveragedScorer
from medctx3d.typing import SegOutput


class Network(nn.Module):
    """Logits of a convolution that is no mirror image of itself."""

    def __init__(self, seed, classes=3):
        super().__init__()
        torch.manual_seed(seed)
        self.convolution = nn.Conv3d(1, classes, 3, padding=1)

    def forward(self, inputs):
        return SegOutput(logits=(self.convolution(inputs),))


class SideOfTheBody(nn.Module):
    """Class 1 on what is bright in the first half of the first axis, class 2 in the second half."""

    def forward(self, inputs):
        half = inputs.shape[2] // 2
        left, right = inputs.clone(), inputs.clone()
        left[:, :, half:] = -1
        right[:, :, :half] = -1
        return SegOutput(logits=(torch.cat([torch.zeros_like(inputs), left, right], 1),))


WINDOW = torch.randn(2, 1, 6, 5, 4, generator=torch.Generator().manual_seed(0))


def test_one_network_without_mirrors_answers_with_its_own_logits():
    network = Network(0)
    with torch.no_grad():
        assert torch.equal(AveragedScorer([network])(WINDOW), network(WINDOW).logits[0])


@pytest.mark.parametrize('average', ['softmax', 'logits'])
def test_networks_are_averaged_as_asked(average):
    networks = [Network(0), Network(1)]
    scores = AveragedScorer(networks, average=average)(WINDOW)
    with torch.no_grad():
        answers = [network(WINDOW).logits[0] for network in networks]
    if average == 'softmax':
        torch.testing.assert_close(scores.softmax(1), sum(answer.softmax(1) for answer in answers) / 2)
    else:
        torch.testing.assert_close(scores, sum(answers) / 2)


def test_mirrored_windows_are_answered_in_all_combinations_and_turned_back():
    network = Network(0)
    scores = AveragedScorer([network], mirror_axes=(1, 2), average='logits')(WINDOW)
    expected = torch.zeros_like(scores)
    with torch.no_grad():
        for dims in ([], [3], [4], [3, 4]):
            expected += network(WINDOW.flip(dims)).logits[0].flip(dims) / 4
    torch.testing.assert_close(scores, expected)


def test_sided_classes_change_places_with_left_and_right():
    bright = torch.full((1, 1, 6, 2, 2), -1.0)
    bright[:, :, 0] = 1
    plain = AveragedScorer([SideOfTheBody()])(bright).argmax(1)
    swapped = AveragedScorer([SideOfTheBody()], mirror_axes=(0,), swaps=[(1, 2)])(bright)
    assert torch.equal(swapped.argmax(1), plain)
    assert plain.unique().tolist() == [0, 1]
    blind = AveragedScorer([SideOfTheBody()], mirror_axes=(0,))(bright).softmax(1)
    torch.testing.assert_close(blind[:, 1], blind[:, 2])  # without the swap the two sides are one


@pytest.mark.parametrize('precision', ['bfloat16', 'float16'])
def test_reduced_precision_answers_in_float32_near_the_exact_answer(precision):
    network = Network(0)
    scores = AveragedScorer([network], precision=precision)(WINDOW)
    with torch.no_grad():
        exact = network(WINDOW).logits[0]
    assert scores.dtype == torch.float32
    assert not torch.equal(scores, exact)
    torch.testing.assert_close(scores, exact, atol=0.05, rtol=0.05)


def test_impossible_classes_keep_a_finite_score():
    class Certain(nn.Module):
        def forward(self, inputs):
            return SegOutput(logits=(torch.cat([inputs * 0, inputs * 0 - 500], 1),))

    assert AveragedScorer([Certain(), Certain()])(WINDOW).isfinite().all()

"""The streamed sliding window beside MONAI's, which holds the scores of the whole volume."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.inferers import SlidingWindowInferer
from torch import nn

from medctx3d.inference import StreamedWindowInferer
from medctx3d.inference.label_volume import best_class
from medctx3d.registry import TASK_UTILS


def random_network(classes=4, channels=1, seed=0):
    """A network whose answer depends on where in the window a voxel lies, so that weights matter."""
    torch.manual_seed(seed)
    net = nn.Conv3d(channels, classes, 3, padding=1)

    def answer(inputs):
        place = torch.linspace(-1, 1, inputs.shape[-1]) * torch.arange(classes).view(-1, 1, 1, 1)
        with torch.no_grad():
            return net(inputs) + 0.3 * place

    return answer


def differences_that_are_no_ties(labels, scores):
    """Voxels whose label has a score clearly below the best one."""
    chosen = scores.gather(0, labels[None].long())[0]
    return int((scores.amax(0) - chosen > 1e-5).sum())


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(*[st.integers(2, 19)] * 3),
    window=st.tuples(*[st.sampled_from([-1, 4, 5, 8])] * 3),
    overlap=st.one_of(st.sampled_from([0.0, 0.25, 0.5, 0.7]), st.tuples(*[st.floats(0, 0.8)] * 3)),
    mode=st.sampled_from(['gaussian', 'constant']),
    size=st.integers(1, 5),
)
def test_scores_and_labels_are_those_of_the_plain_method(shape, window, overlap, mode, size):
    volume = torch.randn(1, 1, *shape, generator=torch.Generator().manual_seed(sum(shape)))
    network = random_network()
    plain = SlidingWindowInferer(window, size, overlap, mode, cval=0.5)(volume, network)
    streamed = StreamedWindowInferer(window, size, overlap, mode, cval=0.5)
    torch.testing.assert_close(streamed(volume, network), plain, rtol=1e-4, atol=1e-5)
    found = streamed.segment(volume[0], network)
    assert found.labels.dtype == torch.uint8
    assert differences_that_are_no_ties(found.labels, plain[0]) == 0
    assert (found.labels != plain[0].argmax(0)).sum() <= 2
    assert found.skipped == 0


def test_a_network_of_one_window_sees_each_window_of_the_plain_method_once():
    volume = torch.randn(1, 1, 13, 9, 7)
    seen: dict[str, list] = dict(plain=[], streamed=[])
    for name, inferer in (
        ('plain', SlidingWindowInferer((6, 4, 8), 1, 0.4)),
        ('streamed', StreamedWindowInferer((6, 4, 8), 1, 0.4)),
    ):

        def network(inputs, name=name):
            seen[name].append(inputs[0].flatten().tolist())
            return inputs.repeat(1, 2, 1, 1, 1)

        inferer(volume, network)
    assert sorted(seen['streamed']) == sorted(seen['plain'])


@pytest.mark.parametrize('shape', [(40, 12, 12), (12, 40, 12), (12, 12, 40)])
def test_scores_held_are_those_of_one_layer_along_the_longest_axis(shape):
    grid = StreamedWindowInferer((8, 8, 8), overlap=0.5).grid(shape)
    assert grid.axis == shape.index(40)
    assert grid.slab_shape == tuple(8 if size == 40 else size for size in shape)


def test_planes_come_once_and_in_order():
    inferer = StreamedWindowInferer((4, 4, 4), overlap=0.5)
    planes = [
        (part.start, part.scores.shape[2]) for part in inferer.stream(torch.randn(1, 6, 23, 5), random_network())
    ]
    stops = [start + count for start, count in planes]
    assert [start for start, _ in planes] == [0, *stops[:-1]]
    assert stops[-1] == 23


def test_windows_of_air_are_background_without_being_shown():
    volume = torch.full((1, 32, 8, 8), -1.0)
    volume[:, 10:14, 2:6, 2:6] = 2.0
    calls = []

    def network(inputs):  # background on air, and only there
        calls.append(len(inputs))
        return torch.cat([-inputs, inputs], 1)

    inferer = StreamedWindowInferer((8, 8, 8), overlap=0.5)
    everything = inferer.segment(volume, network)
    shown = sum(calls)
    inferer.air = -1.0
    calls.clear()
    without_air = inferer.segment(volume, network)
    assert torch.equal(without_air.labels, everything.labels)
    assert without_air.labels.any()
    assert (everything.windows, everything.skipped, shown) == (7, 0, 7)
    assert without_air.skipped == 3  # the first is shown: it tells the number of classes
    assert sum(calls) == 4


def test_a_volume_of_air_alone_is_background():
    inferer = StreamedWindowInferer((4, 4, 4), overlap=0.0, air=0.0)
    found = inferer.segment(torch.zeros(1, 12, 4, 4), lambda inputs: torch.cat([inputs + 1, inputs], 1))
    assert not found.labels.any()
    assert found.skipped == 2


def test_half_precision_sums_differ_only_near_ties():
    volume, network = torch.randn(1, 1, 16, 9, 9), random_network()
    exact = StreamedWindowInferer((6, 6, 6), overlap=0.5)(volume, network)[0]
    labels = StreamedWindowInferer((6, 6, 6), overlap=0.5, dtype='float16').segment(volume[0], network).labels
    chosen = exact.gather(0, labels[None].long())[0]
    assert (exact.amax(0) - chosen).max() < 5e-3


def test_best_class_is_the_first_of_the_largest():
    scores = torch.randint(0, 4, (6, 5, 4, 3)).float()
    assert torch.equal(best_class(scores).long(), scores.argmax(0))
    many = torch.zeros(300, 2, 2)
    many[299] = 1
    assert best_class(many).dtype == torch.int16
    assert (best_class(many) == 299).all()


def test_more_classes_than_a_byte_holds_keep_their_ids():
    inferer = StreamedWindowInferer((4, 4, 4), overlap=0.0)
    found = inferer.segment(torch.ones(1, 8, 4, 4), lambda inputs: torch.arange(300.0).view(1, -1, 1, 1, 1) * inputs)
    assert found.labels.dtype == torch.int16
    assert (found.labels == 299).all()


def test_an_answer_of_other_voxels_than_the_window_is_refused():
    inferer = StreamedWindowInferer((4, 4, 4))
    with pytest.raises(ValueError, match=r'window of \(4, 4, 4\) voxels .* got \(2, 2, 2\)'):
        inferer.segment(torch.zeros(1, 8, 8, 8), lambda inputs: inputs[..., ::2, ::2, ::2])


@pytest.mark.parametrize(
    'wrong',
    [dict(roi_size=(4, 4)), dict(roi_size=(0, 4, 4)), dict(overlap=1.0), dict(sw_batch_size=0), dict(mode='cosine'),
     dict(dtype='int8')],
    ids=str,
)  # fmt: skip
def test_arguments_out_of_range_are_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TASK_UTILS.build({'type': 'StreamedWindowInferer', 'roi_size': (4, 4, 4), **wrong})

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medctx3d.datasets.foreground_index import ForegroundIndex
from medctx3d.datasets.transforms import ForegroundCrop
from medctx3d.datasets.transforms import foreground_crop as module

AFFINE = np.array([[0.8, 0, 0, -7], [0, 0.9, 0, 3], [0, 0, 3, 11], [0, 0, 0, 1]])


def make_sample(shape: tuple[int, int, int] = (32, 30, 28), *, indexed: bool = True) -> dict:
    """Every voxel its own intensity; class 1 a large box, class 2 a single voxel away from the borders."""
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(1, *shape)
    label = np.zeros((1, *shape), np.uint8)
    label[0, 4:20, 4:20, 4:20] = 1
    label[0, 22, 20, 21] = 2
    sample = dict(image=image, label=label, affine=AFFINE, case='a')
    if indexed:
        sample['foreground'] = ForegroundIndex.from_label(label, per_class=10**6)
    return sample


def seeded_crop(*args: object, seed: int = 0, **options: object) -> ForegroundCrop:
    crop = ForegroundCrop(*args, **options)
    crop.set_random_state(seed)
    return crop


class Spy:
    """An array that counts the voxels read from it."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.read = array, array.shape, 0

    def __getitem__(self, key: tuple) -> np.ndarray:
        part = self.array[key]
        self.read += np.size(part)
        return part


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), size=st.tuples(*[st.integers(1, 28)] * 3))
def test_crop_is_the_part_of_the_volume_that_starts_where_it_says(seed, size):
    sample = make_sample()
    crop = seeded_crop(size, seed=seed)
    cropped = crop(sample)
    x, y, z = crop.start
    part = (slice(None), slice(x, x + size[0]), slice(y, y + size[1]), slice(z, z + size[2]))
    assert min(crop.start) >= 0
    np.testing.assert_array_equal(cropped['image'], sample['image'][part])
    np.testing.assert_array_equal(cropped['label'], sample['label'][part])
    assert cropped['image'].shape == (1, *size)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), shape=st.tuples(*[st.integers(1, 12)] * 3))
def test_padding_surrounds_the_volume_and_is_background(seed, shape):
    image = np.random.default_rng(seed).normal(size=(2, *shape)).astype(np.float16)
    label = np.ones((1, *shape), np.uint8)
    cropped = seeded_crop((8, 8, 8), seed=seed)(dict(image=image, label=label))
    inside = cropped['label'][0] == 1
    assert int(inside.sum()) == np.prod(np.minimum(shape, 8))
    for channel in range(2):
        outside = cropped['image'][channel][~inside]
        assert torch.all(outside == cropped['image'][channel][inside].min())


def test_padding_value_can_be_chosen():
    sample = dict(image=np.ones((1, 4, 4, 4), np.float32))
    cropped = seeded_crop((6, 4, 4), pad_value=-3.0)(sample)['image']
    assert cropped[0, :, 0, 0].tolist() == [-3, 1, 1, 1, 1, -3]


def test_padding_is_said_once_with_case_and_sizes(monkeypatch):
    said = []
    monkeypatch.setattr(module, 'print_log', lambda message, **_: said.append(message))
    crop = seeded_crop((40, 8, 8))
    for case in 'ab':
        crop(dict(make_sample(), case=case))
    assert len(said) == 1
    assert 'crop of (40, 8, 8)' in said[0]
    assert ': a (32, 30, 28). Crops of up to (32, 30, 28) fit' in said[0]


def test_crops_that_fit_say_nothing(monkeypatch):
    said = []
    monkeypatch.setattr(module, 'print_log', lambda message, **_: said.append(message))
    seeded_crop((32, 30, 28))(make_sample())
    assert said == []


def test_positive_crops_have_foreground_in_their_centre():
    crop = seeded_crop((6, 6, 6), pos=1, neg=0)
    for _ in range(50):
        assert crop(make_sample())['label'][0, 3, 3, 3] > 0


def test_negative_crops_have_background_in_their_centre():
    crop = seeded_crop((3, 3, 3), pos=0, neg=1)
    for _ in range(50):
        centre = np.asarray(crop(make_sample())['label'])[0, 1, 1, 1]
        at_border = any(s == 0 or s + 3 == n for s, n in zip(crop.start, (32, 30, 28), strict=True))
        assert centre == 0 or at_border


def test_pos_and_neg_are_weights():
    crop, sample = seeded_crop((6, 6, 6), pos=3, neg=1), make_sample()
    hits = sum(int(crop(sample)['label'][0, 3, 3, 3] > 0) for _ in range(400))
    assert 260 < hits < 340


def test_class_balance_draws_a_rare_class_as_often_as_a_common_one():
    sample = make_sample()
    balanced, uniform = (seeded_crop((4, 4, 4), pos=1, neg=0, balance=balance) for balance in ('class', 'voxel'))
    rare = [sum(int(crop(sample)['label'][0, 2, 2, 2] == 2) for _ in range(400)) for crop in (balanced, uniform)]
    assert 150 < rare[0] < 250
    assert rare[1] < 5


def test_voxel_balance_follows_the_true_counts_when_the_list_is_a_sample():
    label = np.zeros((1, 30, 10, 10), np.uint8)
    label[0, :20] = 1
    label[0, 20:25] = 2
    index = ForegroundIndex.from_label(label, per_class=50)
    assert index.stops == [50, 100]
    rng = np.random.RandomState(0)
    drawn = [label[(0, *index.draw(rng, balance='voxel'))] for _ in range(1000)]
    assert 740 < drawn.count(1) < 860
    assert drawn.count(1) + drawn.count(2) == 1000


def test_sampled_list_covers_the_class_evenly():
    label = np.ones((1, 100, 10, 10), np.uint8)
    index = ForegroundIndex.from_label(label, per_class=1000)
    x = np.unravel_index(index.voxels, index.shape)[0]
    assert len(set(index.voxels.tolist())) == 1000
    assert 45 < x.mean() < 54


def test_crop_is_all_that_is_read():
    sample = make_sample()
    sample.update(image=Spy(sample['image']), label=Spy(sample['label']))
    crop = seeded_crop((8, 8, 8))
    for _ in range(30):
        crop(sample)
    assert sample['image'].read == 30 * 512
    assert sample['label'].read < 30 * (512 + 20)


def test_missing_index_is_made_from_the_label():
    with_index, without = (seeded_crop((6, 6, 6), seed=5) for _ in range(2))
    for _ in range(10):
        torch.testing.assert_close(
            with_index(make_sample())['image'], without(make_sample(indexed=False))['image'], rtol=0, atol=0
        )


def test_unlabelled_and_empty_volumes_are_cropped_anywhere():
    empty = make_sample()
    empty['label'] = np.zeros_like(empty['label'])
    empty['foreground'] = ForegroundIndex.from_label(empty['label'], per_class=10)
    unlabelled = {key: value for key, value in make_sample().items() if key in ('image', 'case')}
    for sample in (empty, unlabelled):
        crop = seeded_crop((8, 8, 8))
        starts = {crop(sample) and crop.start for _ in range(20)}
        assert len(starts) > 10
    assert 'label' not in seeded_crop((8, 8, 8))(unlabelled)


def test_volume_full_of_foreground_still_gives_negative_crops():
    label = np.ones((1, 8, 8, 8), np.uint8)
    cropped = seeded_crop((4, 4, 4), pos=0, neg=1)(dict(image=label.astype(np.float32), label=label))
    assert cropped['label'].sum() == 64


def test_affine_follows_the_crop():
    sample = make_sample()
    crop = seeded_crop((5, 6, 7))
    cropped = crop(sample)
    voxel = np.array([1, 2, 3])
    world = cropped['affine'] @ [*voxel, 1]
    np.testing.assert_allclose(world, AFFINE @ [*(voxel + crop.start), 1])
    np.testing.assert_array_equal(sample['affine'], AFFINE)


@pytest.mark.parametrize('as_tensor', [False, True])
def test_writing_into_a_crop_leaves_the_volume_alone(as_tensor):
    sample = make_sample()
    before = sample['image'].copy(), sample['label'].copy()
    if as_tensor:
        sample.update(image=torch.from_numpy(sample['image']), label=torch.from_numpy(sample['label']))
    cropped = seeded_crop((32, 30, 28))(sample)
    cropped['image'] += 1
    cropped['label'] += 1
    np.testing.assert_array_equal(sample['image'], before[0])
    np.testing.assert_array_equal(sample['label'], before[1])


def test_crop_is_plain_float32_with_an_integer_label():
    sample = make_sample()
    cropped = seeded_crop((8, 8, 8))(dict(sample, image=sample['image'].astype(np.float16)))
    assert cropped['image'].dtype == torch.float32
    assert cropped['label'].dtype == torch.uint8
    assert 'foreground' not in cropped


def test_same_seed_gives_the_same_crops():
    one, same, other = (seeded_crop((6, 6, 6), seed=seed) for seed in (1, 1, 2))
    starts = [[crop(make_sample()) and crop.start for _ in range(5)] for crop in (one, same, other)]
    assert starts[0] == starts[1] != starts[2]


def test_drawing_from_an_empty_index_is_refused():
    index = ForegroundIndex.from_label(np.zeros((1, 2, 2, 2), np.uint8), per_class=1)
    with pytest.raises(ValueError, match='no class occurs'):
        index.draw(np.random.RandomState(0))


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(size=(8, 8)), 'three positive'),
        (dict(size=(8, 8, 0)), 'three positive'),
        (dict(size=(8, 8, 8), pos=-1), 'pos=-1'),
        (dict(size=(8, 8, 8), pos=0, neg=0), 'not both 0'),
        (dict(size=(8, 8, 8), balance='organ'), 'organ'),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ForegroundCrop(**arguments)

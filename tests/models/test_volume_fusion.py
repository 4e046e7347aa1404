"""Volume Fusion: what is fused with what, exact ends, the truth it writes, and seeds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import tiny_segmentor_config
from hypothesis import given, settings
from hypothesis import strategies as st

from medctx3d.models.preprocessors import VolumeFusionPreprocessor
from medctx3d.models.preprocessors.level_maps import SAMPLINGS
from medctx3d.models.preprocessors.volume_fusion import blend
from medctx3d.registry import MODELS
from medctx3d.structures import VolumeDataSample

VIEW = dict(type='RandomViews', size=(16, 16, 16), zoom=(0.7, 1.5), per_axis=True)


def crops(count=3, size=16, seed=0, channels=1):
    generator = torch.Generator().manual_seed(seed)
    inputs = [torch.randn(channels, size, size, size, generator=generator) for _ in range(count)]
    samples = [VolumeDataSample(metainfo=dict(case=f'case{i}', affine=np.eye(4))) for i in range(count)]
    return dict(inputs=inputs, data_samples=samples)


def fused(preprocessor, training=True, seed=0, **options):
    torch.manual_seed(seed)
    batch = preprocessor(crops(**options), training)
    return batch['inputs'], torch.stack([sample.gt_sem_seg.data for sample in batch['data_samples']])


def blended_by_hand(foreground, background, levels, num_levels):
    """Voxel by voxel, in double precision."""
    answer = torch.empty_like(background, dtype=torch.float64)
    for n, c, x, y, z in np.ndindex(*background.shape):
        alpha = int(levels[n, 0, x, y, z]) / num_levels
        answer[n, c, x, y, z] = alpha * float(foreground[n, c, x, y, z]) + (1 - alpha) * float(
            background[n, c, x, y, z]
        )
    return answer


@settings(max_examples=15, deadline=None)
@given(num_levels=st.integers(1, 9), seed=st.integers(0, 1000), channels=st.integers(1, 2))
def test_blend_is_the_formula_and_exact_at_both_ends(num_levels, seed, channels):
    generator = torch.Generator().manual_seed(seed)
    foreground, background = torch.randn(2, 2, channels, 3, 4, 3, generator=generator) * 1000
    levels = torch.randint(0, num_levels + 1, (2, 1, 3, 4, 3), generator=generator, dtype=torch.uint8)
    found = blend(foreground, background, levels, num_levels)
    assert torch.allclose(found.double(), blended_by_hand(foreground, background, levels, num_levels), rtol=1e-4)
    full = levels.expand_as(found)
    assert torch.equal(found[full == 0], background[full == 0])
    assert torch.equal(found[full == num_levels], foreground[full == num_levels])


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_the_ends_are_exact_to_the_bit_whatever_the_other_volume_holds(dtype):
    background = torch.tensor([-0.0, 1e-5, 3.14159, -100.0]).to(dtype).view(1, 1, 4, 1, 1)
    foreground = torch.tensor([float('inf'), float('nan'), -7.1, 2.5]).to(dtype).view(1, 1, 4, 1, 1)
    levels = torch.zeros(1, 1, 4, 1, 1, dtype=torch.uint8)

    def bits(volume):
        return volume.view(torch.int32 if dtype == torch.float32 else torch.int16)

    assert torch.equal(bits(blend(foreground, background, levels, 4)), bits(background))
    assert torch.equal(bits(blend(background, foreground, levels + 4, 4)), bits(background))


@settings(max_examples=12, deadline=None)
@given(name=st.sampled_from(sorted(SAMPLINGS)), num_levels=st.integers(1, 6), seed=st.integers(0, 1000))
def test_the_label_is_k_times_alpha_for_every_sampling(name, num_levels, seed):
    preprocessor = VolumeFusionPreprocessor(num_levels, name)
    torch.manual_seed(seed)
    ramp = torch.stack([torch.zeros(1, 16, 16, 16), torch.ones(1, 16, 16, 16)])  # alpha shows itself
    answer, levels = preprocessor.fuse(ramp)
    assert torch.allclose(answer[0] * num_levels, levels[0].float(), atol=1e-5)  # background 0, foreground 1
    assert torch.allclose((1 - answer[1]) * num_levels, levels[1].float(), atol=1e-5)


@pytest.mark.parametrize('name', sorted(SAMPLINGS))
def test_across_volumes_each_crop_is_the_background_of_the_one_before(name):
    data = crops()
    answer, levels = fused(VolumeFusionPreprocessor(4, name))
    for i, (found, truth) in enumerate(zip(answer, levels, strict=True)):
        background, foreground = data['inputs'][i], data['inputs'][i - 1]
        assert torch.equal(found[truth == 0], background[truth == 0])
        assert torch.equal(found[truth == 4], foreground[truth == 4])
        half = truth == 2
        assert torch.allclose(found[half], (background[half] + foreground[half]) / 2, atol=1e-6)


def test_within_a_volume_both_are_views_of_the_same_crop():
    preprocessor = VolumeFusionPreprocessor(4, pairing='same_volume', view=VIEW)
    inputs = torch.stack([torch.full((1, 24, 24, 24), 2.0), torch.full((1, 24, 24, 24), 5.0)])
    answer, levels = preprocessor.fuse(inputs)
    assert answer.shape == (2, 1, 16, 16, 16)
    assert levels.shape == (2, 1, 16, 16, 16)
    assert torch.allclose(answer[0], torch.tensor(2.0))
    assert torch.allclose(answer[1], torch.tensor(5.0))
    torch.manual_seed(0)
    background, foreground = preprocessor.pair(torch.randn(1, 1, 24, 24, 24))
    assert not torch.allclose(background, foreground)


def test_inversion_meets_both_views_of_a_pair():
    inputs = torch.rand(16, 1, 16, 16, 16)
    preprocessor = VolumeFusionPreprocessor(pairing='cross_volume', invert=0.5)
    torch.manual_seed(0)
    background, foreground = preprocessor.pair(inputs)
    inverted = [torch.equal(one, 1 - whole) for one, whole in zip(background, inputs, strict=True)]
    assert 0 < sum(inverted) < 16
    for i, yes in enumerate(inverted):
        assert torch.equal(foreground[i], 1 - inputs[i - 1] if yes else inputs[i - 1])


def test_truth_is_written_and_labels_of_the_volumes_are_not_used():
    answer, levels = fused(VolumeFusionPreprocessor(4))
    assert answer.dtype == torch.float32
    assert levels.dtype == torch.int64
    assert levels.shape == (3, 1, 16, 16, 16)


def test_training_follows_the_seed_and_validation_the_cases():
    preprocessor = VolumeFusionPreprocessor(4)
    first, again, other = (fused(preprocessor, seed=seed)[0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    held_out = [fused(preprocessor, training=False, seed=seed)[0] for seed in (0, 1)]
    assert torch.equal(*held_out)
    torch.manual_seed(5)
    preprocessor(crops(), False)
    assert torch.equal(torch.get_rng_state(), state)  # what training draws next is not disturbed


def test_mixed_precision_changes_nothing_of_what_is_fused():
    """mmengine's training step calls the preprocessor inside autocast."""
    preprocessor = VolumeFusionPreprocessor(4, view=VIEW, intensity=dict(type='PercentileCurve'), invert=0.5)
    plain, levels = fused(preprocessor, size=20)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed, found = fused(preprocessor, size=20)
    assert mixed.dtype == torch.float32
    assert torch.equal(plain, mixed)
    assert torch.equal(levels, found)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('name', sorted(SAMPLINGS))
def test_a_seed_gives_the_same_levels_on_a_gpu(name):
    inputs = torch.randn(2, 1, 32, 32, 32)
    answers = []
    for device in ('cpu', 'cuda'):
        torch.manual_seed(0)
        answers.append(VolumeFusionPreprocessor(4, name).fuse(inputs.to(device)))
    assert torch.equal(answers[0][1], answers[1][1].cpu())
    assert torch.allclose(answers[0][0], answers[1][0].cpu(), atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('name', sorted(SAMPLINGS))
def test_a_step_does_not_wait_for_the_gpu(name):
    inputs = torch.rand(2, 1, 48, 48, 48, device='cuda')
    view = dict(type='RandomViews', size=(32, 32, 32), zoom=(0.7, 1.5), per_axis=True)
    preprocessor = VolumeFusionPreprocessor(
        4, name, view=view, intensity=dict(type='PercentileCurve'), invert=0.5
    ).cuda()
    preprocessor.fuse(inputs)  # memory is set aside
    torch.cuda.set_sync_debug_mode('error')
    try:
        preprocessor.fuse(inputs)
    finally:
        torch.cuda.set_sync_debug_mode('default')


def test_a_plain_segmentor_with_k_plus_1_classes_learns_the_levels():
    config = tiny_segmentor_config(medcontext=False, num_classes=3)
    model = MODELS.build(dict(config, data_preprocessor=dict(type='VolumeFusionPreprocessor', num_levels=2)))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    inputs = [torch.full((1, 16, 16, 16), float(value)) + 0.1 * torch.randn(1, 16, 16, 16) for value in (0, 1)]
    torch.manual_seed(0)
    losses = []
    for _ in range(30):
        data = model.data_preprocessor(dict(inputs=inputs, data_samples=crops(2)['data_samples']), True)
        total, _ = model.parse_losses(model(**data, mode='loss'))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(total.item())
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    model.eval()
    answer = model.test_step(dict(inputs=inputs, data_samples=crops(2)['data_samples']))
    assert answer[0].pred_sem_seg.data.shape == answer[0].gt_sem_seg.data.shape == (1, 16, 16, 16)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_levels=0), r'num_levels must lie in 1\.\.255'),
        (dict(pairing='both'), "pairing must be one of .*got 'both'"),
        (dict(pairing='same_volume'), "view=dict\\(type='RandomViews'"),
        (dict(invert=2), 'invert must be a probability'),
    ],
)
def test_what_cannot_be_built_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        VolumeFusionPreprocessor(**options)


def test_one_crop_cannot_be_fused_across_volumes_and_can_within():
    with pytest.raises(ValueError, match='batch_size=2 or more, got 1'):
        fused(VolumeFusionPreprocessor(4), count=1)
    assert fused(VolumeFusionPreprocessor(4, pairing='same_volume', view=VIEW), count=1)[0].shape[0] == 1


def test_the_size_that_is_fused_is_known_before_training():
    within = VolumeFusionPreprocessor(4, pairing='same_volume', view=VIEW)
    assert within.fused_size((24, 24, 24)) == (16, 16, 16)
    assert VolumeFusionPreprocessor(4).fused_size((24, 40, 24)) == (24, 40, 24)
    with pytest.raises(ValueError, match=r'at least \(13, 13, 13\)'):
        VolumeFusionPreprocessor(4).fused_size((8, 40, 24))
    still = VolumeFusionPreprocessor(4, pairing='same_volume', view=dict(type='RandomViews', size=(16, 16, 16)))
    with pytest.raises(ValueError, match='differ in flips alone'):
        still.fused_size((16, 16, 16))

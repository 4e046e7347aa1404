"""What every network keeps: stated features, crops, levels, token masks, and one step of MedContext."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import pytest
import torch
from network_table import CLASSES, NETWORKS, Tiny
from torch import nn

from medctx3d.registry import BACKBONES, HEADS, MODELS, component_names
from medctx3d.structures import VolumeData, VolumeDataSample
from medctx3d.typing import SegOutput, Size3

NAMES = sorted(NETWORKS)
SPLIT = [name for name in NAMES if NETWORKS[name].network['type'] == 'EncoderDecoder']
MONAI = [name for name in NAMES if NETWORKS[name].network.get('net', {}).get('type', '').startswith('monai.')]
TOKENS = [name for name in NAMES if NETWORKS[name].tokens]
STEPS = [*((name, 'voxel') for name in NAMES), *((name, 'both') for name in TOKENS)]


def build(name: str, **backbone: object) -> nn.Module:
    """The tiny network in training mode, as if it had trained: no weight is left at a zero that hides others."""
    config = copy.deepcopy(NETWORKS[name].network)
    config.get('backbone', {}).update(backbone)
    torch.manual_seed(0)
    network = MODELS.build(config)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.05 * torch.randn_like(weight)
    return network.train()


def answers(network: nn.Module, tiny: Tiny) -> Iterator[tuple[tuple[int, ...], SegOutput]]:
    """Crops and what the network answers to them, shapes only."""
    network = copy.deepcopy(network).to('meta')
    for crop in tiny.crops:
        yield crop, network(torch.zeros(2, 1, *crop, device='meta'))


def divided(crop, stride):
    step = (stride,) * 3 if isinstance(stride, int) else stride
    return tuple(side // s for side, s in zip(crop, step, strict=True))


def segmentor(name: str, mask_space: str = 'voxel') -> nn.Module:
    """The tiny network with criterion, teacher and MedContext; every level is supervised."""
    tiny = NETWORKS[name]
    network = build(name, token_masking=True) if mask_space != 'voxel' else build(name)
    head = dict(
        type='MedContextHead',
        masking=dict(type='RandomMask', ratio=0.5),
        patch_size=tuple(math.gcd(*sides) // 2 for sides in zip(*tiny.crops, strict=True)),
        consistency=dict(type='ConsistencyLoss'),
        mask_space=mask_space,
    )
    criterion = dict(
        type='SegCriterion',
        level_weights=[1.0] * len(tiny.levels),
        loss_dice_ce=dict(type='monai.losses.DiceCELoss', to_onehot_y=True, softmax=True),
    )
    model = MODELS.build(
        dict(
            type='VolumeSegmentor',
            network=network,
            criterion=criterion,
            teacher=dict(type='EMATeacher'),
            auxiliary=dict(medcontext=head),
        )
    )
    model.prime_teacher()
    return model.train()


def batch(name: str, crop: Size3 | None = None) -> tuple[torch.Tensor, list[VolumeDataSample]]:
    torch.manual_seed(1)
    inputs = torch.randn(2, 1, *(crop or NETWORKS[name].crops[0]))
    samples = []
    for _ in inputs:
        sample = VolumeDataSample()
        sample.gt_sem_seg = VolumeData(data=torch.randint(0, CLASSES, inputs.shape[1:]))
        samples.append(sample)
    return inputs, samples


def values(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in module.named_parameters()}


def test_every_backbone_and_decode_head_of_the_package_is_under_contract():
    networks = [NETWORKS[name].network for name in SPLIT]
    for registry, key in ((BACKBONES, 'backbone'), (HEADS, 'decode_head')):
        names = {name for name in component_names(registry) if registry.get(name).__module__.startswith('medctx3d')}
        assert names - {'MedContextHead', 'RegionContrastHead'} == {network[key]['type'] for network in networks}


@pytest.mark.parametrize('name', NAMES)
def test_levels_have_their_stride_and_the_finest_the_size_of_any_documented_crop(name):
    tiny = NETWORKS[name]
    for crop, answer in answers(build(name), tiny):
        assert [tuple(level.shape) for level in answer.logits] == [
            (2, CLASSES, *divided(crop, stride)) for stride in tiny.levels
        ]


@pytest.mark.parametrize('name', SPLIT)
def test_stated_channels_and_strides_are_true(name):
    network = build(name)
    backbone = network.backbone
    for crop, answer in answers(network, NETWORKS[name]):
        stated = zip(backbone.out_channels, backbone.out_strides, strict=True)
        assert [tuple(feature.shape[1:]) for feature in answer.features] == [
            (channels, *divided(crop, stride)) for channels, stride in stated
        ]


@pytest.mark.parametrize('name', NAMES)
def test_other_crops_are_refused(name):
    network, crop = build(name).to('meta'), torch.zeros(2, 1, *NETWORKS[name].refused, device='meta')
    if name not in MONAI:
        with pytest.raises(ValueError, match='crop'):
            network(crop)
    else:  # it leaves that to torch, in words of its own
        with pytest.raises(RuntimeError):
            network(crop)


@pytest.mark.parametrize('name', TOKENS)
def test_token_masks_hide_and_train_the_mask_token(name):
    network = build(name, token_masking=True).eval()
    inputs, _ = batch(name)
    mask = torch.zeros(2, 2, 2, 2, dtype=torch.bool)
    mask[:, 0] = True
    clean, hidden = network(inputs), network(inputs, mask)
    assert not torch.allclose(clean.logits[0], hidden.logits[0])
    hidden.logits[0].square().mean().backward()
    assert network.backbone.mask_token.grad.abs().sum() > 0
    assert torch.equal(network(inputs, torch.zeros_like(mask)).logits[0], clean.logits[0])


@pytest.mark.parametrize('name', NAMES)
def test_a_token_mask_without_mask_token_is_refused_with_the_remedy(name):
    inputs, _ = batch(name)
    message = 'token_masking=True' if NETWORKS[name].tokens else "mask_space='voxel'"
    with pytest.raises(ValueError, match=message):
        build(name)(inputs, torch.ones(2, 1, 1, 1, dtype=torch.bool))


@pytest.mark.parametrize(('name', 'mask_space'), STEPS)
def test_one_medcontext_step_moves_every_student_parameter_and_no_teacher_parameter(name, mask_space):
    model = segmentor(name, mask_space)
    student, teacher = values(model.network), values(model.teacher)
    # The teacher's parameters too, as mmengine has it. So steep that no small gradient drowns in a weight of 1.
    optimizer = torch.optim.SGD(model.parameters(), lr=1e4)
    total, _ = model.parse_losses(model(*batch(name), mode='loss'))
    total.backward()
    optimizer.step()
    gradients = {key: weight.grad for key, weight in model.network.named_parameters()}
    assert [key for key, gradient in gradients.items() if gradient is None] == []
    moved = values(model.network)
    still = [key for key, before in student.items() if torch.equal(moved[key], before)]
    # A normalisation takes away the mean, so the bias of a convolution before it has a gradient of rounding errors.
    assert [key for key in still if not key.endswith('bias') or gradients[key].abs().max() > 1e-6] == []
    assert all(weight.grad is None for weight in model.teacher.parameters())
    assert all(torch.equal(weight, teacher[key]) for key, weight in values(model.teacher).items())
    model.update_teacher(0.5)
    followed = values(model.teacher.module)
    assert all(torch.allclose(followed[key], torch.lerp(student[key], moved[key], 0.5)) for key in student)


@pytest.mark.parametrize('name', NAMES)
def test_a_step_in_bfloat16_is_finite(name):
    model = segmentor(name)
    # oneDNN, torch's convolutions on a CPU, leaves parts of a bfloat16 weight gradient unwritten where the grid is
    # shorter than the kernel along X; the last crop has no such grid.
    with torch.autocast('cpu', dtype=torch.bfloat16):
        total, _ = model.parse_losses(model(*batch(name, NETWORKS[name].crops[-1]), mode='loss'))
    total.backward()
    assert total.isfinite()
    assert all(weight.grad.isfinite().all() for weight in model.network.parameters())


@pytest.mark.parametrize('name', NAMES)
def test_a_state_dict_makes_another_network_answer_alike(name):
    network = build(name).eval()
    other = MODELS.build(NETWORKS[name].network).eval()
    inputs, _ = batch(name)
    with torch.no_grad():
        expected = network(inputs).logits[0]
        assert not torch.allclose(other(inputs).logits[0], expected)
        other.load_state_dict(network.state_dict(), strict=True)
        assert torch.equal(other(inputs).logits[0], expected)


@pytest.mark.parametrize('name', SPLIT)
def test_activation_checkpointing_gives_the_same_gradients(name):
    inputs, _ = batch(name)
    gradients = []
    for use_checkpoint in (False, True):
        network = build(name, use_checkpoint=use_checkpoint)
        sum(level.square().mean() for level in network(inputs).logits).backward()
        gradients.append([weight.grad for weight in network.parameters()])
    assert all(torch.allclose(a, b, atol=1e-6, rtol=1e-4) for a, b in zip(*gradients, strict=True))

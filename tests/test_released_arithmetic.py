"""The ``_released`` configs compute what the released code computes; its formulas are written out here."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn

from medctx3d.engine import load_config
from medctx3d.models.teachers import EMATeacher
from medctx3d.registry import HEADS, HOOKS, LOSSES, MASKINGS
from medctx3d.typing import SegOutput, View

CONFIGS = Path(__file__).parents[1] / 'configs' / 'medcontext'
BASE, WARMUP_FROM = 0.996, 0.0


def load(name: str):
    return load_config(CONFIGS / f'{name}_released.py')


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def cross_entropy(logits: np.ndarray, target: np.ndarray) -> float:
    return -np.log(np.take_along_axis(softmax(logits), target, axis=1)).mean()


def one_hot(target: np.ndarray, classes: int) -> np.ndarray:
    return np.moveaxis(np.eye(classes)[target[:, 0]], -1, 1)


def unetr_supervised(logits: np.ndarray, target: np.ndarray) -> float:
    """Dice with squared denominators over all classes, per sample, plus cross-entropy."""
    p, y = softmax(logits), one_hot(target, logits.shape[1])
    overlap, size = (p * y).sum((2, 3, 4)), (p**2).sum((2, 3, 4)) + (y**2).sum((2, 3, 4))
    return (1 - 2 * overlap / (size + 1e-6)).mean() + cross_entropy(logits, target)


def nnformer_supervised(levels: list[np.ndarray], target: np.ndarray) -> float:
    """Cross-entropy plus Dice of the organs over the whole batch, levels weighted 4/7, 2/7, 1/7.

    The released Dice is negative, this one is 1 minus it: a constant that no gradient sees.
    """
    total = 0.0
    for weight, logits, step in zip((4 / 7, 2 / 7, 1 / 7), levels, (1, 2, 4), strict=True):
        truth = target[:, :, ::step, ::step, ::step]
        p, y = softmax(logits)[:, 1:], one_hot(truth, logits.shape[1])[:, 1:]
        overlap = (p * y).sum((0, 2, 3, 4))
        dice = (2 * overlap + 1e-5) / (p.sum((0, 2, 3, 4)) + y.sum((0, 2, 3, 4)) + 1e-5)
        total += weight * (1 - dice.mean() + cross_entropy(logits, truth))
    return total


def published_consistency(student: np.ndarray, taught: np.ndarray) -> float:
    return ((taught - student) ** 2).mean() / np.sqrt((taught**2).sum())


def trained_step_loss(config, clean: list, student: list, taught: list, target: torch.Tensor) -> float:
    """The sum that our criterion and head make of fixed logits."""
    criterion = LOSSES.build(config.model.criterion).double()
    head = HEADS.build(config.model.auxiliary.medcontext)
    mask = torch.zeros(len(target), 1, 1, 1, dtype=torch.bool)
    terms = head.loss(
        student=SegOutput(tuple(student)), taught=SegOutput(tuple(taught)), target=target,
        view=View(torch.zeros(0), mask), criterion=criterion,
    )  # fmt: skip
    terms = {**criterion(tuple(clean), target), **{f'medcontext.{name}': value for name, value in terms.items()}}
    return sum(value.item() for name, value in terms.items() if 'loss' in name)


def answers(count: int, classes: int, seed: int, size: tuple[int, int, int] = (8, 6, 4)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(count, classes, *size, generator=generator, dtype=torch.float64)


def test_unetr_loss_is_the_released_one() -> None:
    clean, student, taught = (answers(4, 14, seed) for seed in range(3))
    target = torch.randint(0, 14, (4, 1, 8, 6, 4), generator=torch.Generator().manual_seed(9))
    ours = trained_step_loss(load('unetr_btcv'), [clean], [student], [taught], target)
    truth = target.numpy()
    expected = unetr_supervised(clean.numpy(), truth) + unetr_supervised(student.numpy(), truth)
    expected += 0.5 * published_consistency(student.numpy(), taught.numpy())
    assert ours == pytest.approx(expected, abs=1e-6)


def test_nnformer_loss_is_the_released_one() -> None:
    sizes = ((8, 8, 4), (4, 4, 2), (2, 2, 1))
    clean, student, taught = ([answers(2, 14, seed, size) for size in sizes] for seed in range(3))
    target = torch.randint(0, 14, (2, 1, 8, 8, 4), generator=torch.Generator().manual_seed(9))
    ours = trained_step_loss(load('nnformer_btcv'), clean, student, taught, target)
    levels = [[level.numpy() for level in levels] for levels in (clean, student)]
    expected = sum(nnformer_supervised(answer, target.numpy()) for answer in levels)
    expected += 0.4 * published_consistency(student[0].numpy(), taught[0].numpy())
    assert ours == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize('name', ['nnformer_acdc', 'nnformer_brain_tumour'])
def test_nnformer_without_deep_supervision_compares_the_first_sample_alone(name: str) -> None:
    clean, student, taught = (answers(4, 4, seed) for seed in range(3))
    target = torch.randint(0, 4, (4, 1, 8, 6, 4), generator=torch.Generator().manual_seed(9))
    ours = trained_step_loss(load(name), [clean], [student], [taught], target)
    truth, expected = target.numpy(), 0.0
    for answer in (clean.numpy(), student.numpy()):
        p, y = softmax(answer)[:, 1:], one_hot(truth, 4)[:, 1:]
        overlap, size = (p * y).sum((2, 3, 4)), p.sum((2, 3, 4)) + y.sum((2, 3, 4))
        expected += 1 - ((2 * overlap + 1e-5) / (size + 1e-5)).mean() + cross_entropy(answer, truth)
    expected += 0.5 * published_consistency(student[:1].numpy(), taught[:1].numpy())
    assert ours == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ('name', 'grid', 'hidden'),
    [
        ('nnformer_btcv', (32, 32, 32), 409),  # floor(0.4 * 1024), 39.9 %
        ('nnformer_acdc', (40, 40, 14), 640),  # 40 %
        ('nnformer_brain_tumour', (32, 32, 32), 614),  # floor(0.6 * 1024), 60 %
    ],
)
def test_nnformer_mask_is_one_tube_pattern_through_all_slices_for_the_whole_batch(name, grid, hidden) -> None:
    config = load(name)
    crop, cell = config.patch_size, config.model.auxiliary.medcontext.patch_size
    assert tuple(cell) == tuple(config.model.network.backbone.token_patch)
    assert tuple(side // edge for side, edge in zip(crop, cell, strict=True)) == grid
    mask = MASKINGS.build(config.model.auxiliary.medcontext.masking)(2, grid)
    assert torch.equal(mask, mask[:1, :, :, :1].expand_as(mask))
    assert int(mask[0, :, :, 0].sum()) == hidden


def test_unetr_mask_is_one_tube_pattern_left_to_right_for_the_whole_batch() -> None:
    config = load('unetr_btcv')
    crop, cell = config.patch_size, config.model.auxiliary.medcontext.patch_size
    grid = tuple(side // edge for side, edge in zip(crop, cell, strict=True))
    assert grid == (6, 6, 6)
    mask = MASKINGS.build(config.model.auxiliary.medcontext.masking)(4, grid)
    assert torch.equal(mask, mask[:1, :1].expand_as(mask))
    assert int(mask[0, 0].sum()) == 21  # floor(0.6 * 36), 58.3 %


def schedule(values: int, warmup: int) -> np.ndarray:
    """The released schedule array: linear from 0 to 0.996, then cosine to 1."""
    rest = np.arange(values - warmup)
    cosine = 1 - 0.5 * (1 - BASE) * (1 + np.cos(np.pi * rest / len(rest)))
    return np.concatenate([np.linspace(WARMUP_FROM, BASE, warmup), cosine])


def followed(config, steps: int) -> list[float]:
    """Weight of a one-number teacher after every step, the student being its step's number squared."""
    hook = HOOKS.build(config.custom_hooks[0])
    student = nn.Linear(1, 1, bias=False).double()
    teacher = EMATeacher(student)
    model = nn.Module()
    model.update_teacher = lambda decay: teacher.update(student, decay)
    wrapper = SimpleNamespace(should_update=lambda: True, _accumulative_counts=1)
    hub = MessageHub.get_instance('released')
    weights = []
    with torch.no_grad():
        student.weight.fill_(1.0)
        teacher.copy_from(student)
        for step in range(1, steps + 1):
            student.weight.fill_(float(step**2))
            runner = SimpleNamespace(
                model=model, optim_wrapper=wrapper, iter=step - 1, max_iters=steps, message_hub=hub
            )
            hook.after_train_iter(runner, 0)
            weights.append(teacher.module.weight.item())
    return weights


def test_unetr_teacher_is_a_copy_made_once_per_epoch() -> None:
    decay = schedule(5000 * 18, 50 * 18)[17]  # always the last batch index of an epoch
    assert decay == pytest.approx(0.01883, abs=1e-5)
    expected, teacher = [], 1.0
    for step in range(1, 6 * 18 + 1):
        if step % 18 == 0:
            teacher = decay * teacher + (1 - decay) * step**2
        expected.append(teacher)
    assert followed(load('unetr_btcv'), 6 * 18) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize('name', ['nnformer_btcv', 'nnformer_acdc', 'nnformer_brain_tumour'])
def test_nnformer_teacher_is_the_student_of_a_step_ago(name: str) -> None:
    decays = schedule(500000, 5000)[np.arange(300) % 250]  # indexed by the batch within its epoch
    assert (decays[0], decays[250]) == (0, 0)
    assert decays.max() == pytest.approx(0.0496, abs=1e-4)
    expected, teacher = [], 1.0
    for step in range(1, 301):
        teacher = decays[step - 1] * teacher + (1 - decays[step - 1]) * step**2
        expected.append(teacher)
    assert followed(load(name), 300) == pytest.approx(expected, rel=1e-6)

"""Consistency and criterion against references written here."""

import numpy as np
import pytest
import torch
from monai.losses import DiceCELoss

from medctx3d.models.losses import ConsistencyLoss, SegCriterion


def answers(*shape, seed=0, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    return tuple(scale * torch.randn(shape, generator=generator) for _ in range(2))


def reference(student, taught, form):
    """The three formulas, in numpy and double precision."""
    student, taught = student.double().numpy(), taught.double().numpy()
    error = (student - taught) ** 2
    if form == 'none':
        return error.mean()
    if form == 'frobenius':
        return error.mean() / np.sqrt((taught**2).sum())
    return np.mean([error[i].mean() / (taught[i] ** 2).mean() for i in range(len(error))])


@pytest.mark.parametrize('form', ['mean_square', 'frobenius', 'none'])
def test_consistency_equals_its_formula(form):
    student, taught = answers(3, 4, 6, 5, 4)
    value = ConsistencyLoss(form)(student, taught)
    assert value.item() == pytest.approx(reference(student, taught, form), rel=1e-5)


@pytest.mark.parametrize('form', ['mean_square', 'frobenius', 'none'])
def test_equal_answers_cost_nothing_and_the_teacher_gets_no_gradient(form):
    student, taught = answers(2, 3, 4, 4, 4)
    assert ConsistencyLoss(form)(taught, taught).item() == 0
    student.requires_grad_()
    taught.requires_grad_()
    ConsistencyLoss(form)(student, taught).backward()
    assert student.grad.abs().sum() > 0
    assert taught.grad is None


def test_mean_square_does_not_change_with_crop_and_batch_and_frobenius_does():
    small = answers(1, 14, 16, 16, 16)
    large = answers(4, 14, 32, 32, 32, seed=1)
    scale_free, published = ConsistencyLoss('mean_square'), ConsistencyLoss('frobenius')
    assert scale_free(*large).item() == pytest.approx(scale_free(*small).item(), rel=0.02)
    assert published(*large).item() < 0.3 * published(*small).item()


def test_mean_square_over_ranks_is_the_mean_of_the_ranks():
    student, taught = answers(4, 3, 4, 4, 4)
    loss = ConsistencyLoss('mean_square')
    halves = (loss(student[:2], taught[:2]) + loss(student[2:], taught[2:])) / 2
    assert halves.item() == pytest.approx(loss(student, taught).item(), rel=1e-6)


def test_published_form_survives_half_precision():
    taught = torch.full((1, 14, 32, 32, 32), 100.0, dtype=torch.float16)  # its norm passes fp16's maximum
    value = ConsistencyLoss('frobenius')(taught + 1, taught)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(1 / (100 * (14 * 32**3) ** 0.5), rel=1e-3)


def test_mask_selects_the_voxels_that_count():
    student, taught = answers(2, 3, 4, 4, 4)
    mask = torch.zeros(2, 4, 4, 4, dtype=torch.bool)
    mask[:, :2] = True
    cut = ConsistencyLoss('none')(student[:, :, :2], taught[:, :, :2])
    assert ConsistencyLoss('none')(student, taught, mask).item() == pytest.approx(cut.item(), rel=1e-5)


def test_probability_space_ignores_a_shift_of_all_logits():
    student, taught = answers(2, 3, 4, 4, 4)
    loss = ConsistencyLoss('none', space='probabilities')
    assert loss(student + 7, taught).item() == pytest.approx(loss(student, taught).item(), rel=1e-4)


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match='normalize must be'):
        ConsistencyLoss('l2')
    with pytest.raises(ValueError, match='space must be'):
        ConsistencyLoss(space='features')


def dice_ce():
    return DiceCELoss(to_onehot_y=True, softmax=True)


def test_criterion_sums_levels_with_their_weights():
    target = torch.randint(0, 3, (2, 1, 8, 8, 8))
    fine, coarse = torch.randn(2, 3, 8, 8, 8), torch.randn(2, 3, 4, 4, 4)
    terms = SegCriterion(level_weights=(0.75, 0.25), loss_dice_ce=dice_ce())((fine, coarse), target)
    expected = 0.75 * dice_ce()(fine, target) + 0.25 * dice_ce()(coarse, target[:, :, ::2, ::2, ::2])
    assert list(terms) == ['loss_dice_ce']
    assert terms['loss_dice_ce'].item() == pytest.approx(expected.item(), rel=1e-6)


def test_criterion_builds_terms_by_dotted_path_and_ignores_coarser_levels():
    criterion = SegCriterion(loss_ce=dict(type='torch.nn.CrossEntropyLoss'))
    assert isinstance(criterion.terms['loss_ce'], torch.nn.CrossEntropyLoss)


def test_criterion_runs_in_full_precision_inside_autocast():
    target = torch.randint(0, 3, (1, 1, 4, 4, 4))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        terms = SegCriterion(loss_dice_ce=dice_ce())((torch.randn(1, 3, 4, 4, 4, dtype=torch.bfloat16),), target)
    assert terms['loss_dice_ce'].dtype == torch.float32


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(), 'needs a term'),
        (dict(dice=dict(type='monai.losses.DiceLoss')), "must start with 'loss'"),
        (dict(level_weights=(), loss_dice=dict(type='monai.losses.DiceLoss')), 'at least one level'),
    ],
)
def test_criterion_refuses_what_it_cannot_sum(arguments, message):
    with pytest.raises(ValueError, match=message):
        SegCriterion(**arguments)


def test_criterion_names_missing_levels():
    criterion = SegCriterion(level_weights=(1, 0.5), loss_dice_ce=dice_ce())
    with pytest.raises(ValueError, match='2 level_weights but the network answers with 1'):
        criterion((torch.randn(1, 3, 4, 4, 4),), torch.zeros(1, 1, 4, 4, 4).long())

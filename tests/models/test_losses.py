"""Consistency and criterion against references written here."""

import numpy as np
import pytest
import torch
from monai.losses import DiceCELoss

from medctx3d.models.losses import ConsistencyLoss, KLConsistencyLoss, SegCriterion


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


def test_the_default_and_mean_square_do_not_change_with_crop_and_batch_and_frobenius_does():
    small = answers(1, 4, 32, 32, 32)
    large = answers(4, 4, 96, 96, 96, seed=1)
    scale_free, published = ConsistencyLoss('mean_square'), ConsistencyLoss('frobenius')
    for loss in (KLConsistencyLoss(), scale_free):
        assert loss(*large).item() == pytest.approx(loss(*small).item(), rel=0.02)
    assert published(*large).item() == pytest.approx(published(*small).item() * (1 / (4 * 27)) ** 0.5, rel=0.02)


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


@pytest.mark.parametrize('temperature', [0.5, 1.0, 3.0])
def test_divergence_equals_its_formula(temperature):
    student, taught = answers(2, 4, 3, 3, 3)
    p = np.exp(taught.double().numpy() / temperature)
    q = np.exp(student.double().numpy() / temperature)
    p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
    expected = temperature**2 * (p * np.log(p / q)).sum(1).mean()
    assert KLConsistencyLoss(temperature)(student, taught).item() == pytest.approx(expected, rel=1e-5)


def test_divergence_counts_the_voxels_of_the_mask_and_only_the_student_learns():
    student, taught = answers(2, 3, 4, 4, 4)
    student.requires_grad_()
    taught.requires_grad_()
    mask = torch.zeros(2, 4, 4, 4, dtype=torch.bool)
    mask[:, :2] = True
    value = KLConsistencyLoss()(student, taught, mask)
    assert value.item() == pytest.approx(KLConsistencyLoss()(student[:, :, :2], taught[:, :, :2]).item(), rel=1e-5)
    value.backward()
    assert taught.grad is None
    assert student.grad[:, :, 2:].abs().sum() == 0 < student.grad[:, :, :2].abs().sum()


def test_divergence_keeps_its_gradient_as_the_temperature_grows():
    """The factor T^2: the gradient per logit tends to (q - p of logits) / K and does not vanish with 1 / T^2."""
    student, taught = answers(1, 3, 4, 4, 4)
    norms = []
    for temperature in (4.0, 40.0):
        leaf = student.clone().requires_grad_()
        KLConsistencyLoss(temperature)(leaf, taught).backward()
        norms.append(leaf.grad.norm().item())
    assert norms[1] == pytest.approx(norms[0], rel=0.2)


def test_temperature_softens_probabilities_before_they_are_compared():
    student, taught = answers(2, 3, 4, 4, 4)
    value = ConsistencyLoss('none', space='probabilities', temperature=2.0)(student, taught)
    expected = ((student / 2).softmax(1) - (taught / 2).softmax(1)).square().mean()
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize('options', [dict(temperature=2.0), dict(space='probabilities', temperature=0.0)])
def test_a_temperature_that_does_nothing_or_cannot_be_is_refused(options):
    with pytest.raises(ValueError, match='temperature must be positive'):
        ConsistencyLoss(**options)
    with pytest.raises(ValueError, match='temperature must be positive'):
        KLConsistencyLoss(0.0)


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

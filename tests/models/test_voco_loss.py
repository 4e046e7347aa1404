"""The position loss of VoCo against loops, analytic floors and where its gradient goes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medctx3d.models.losses import VoCoLoss
from medctx3d.models.views import grid_overlap

FORMS = {
    'paper': dict(prediction='one_way', form='joint', regular='absolute'),
    'cvpr_code': dict(prediction='one_way', form='square', weighting='uniform'),
    'v1': dict(prediction='symmetric', form='square', detach_regular=True),
    'v2': dict(prediction='one_way', form='log', detach_regular=True, inter_volume=True),
}


def drawn(volumes=2, crops=3, grid=(2, 2, 1), width=8, seed=0):
    """Embeddings of student and teacher, and overlaps."""
    generator = torch.Generator().manual_seed(seed)
    bases = math.prod(grid)
    rows = [torch.randn(volumes, n, width, generator=generator) for n in (crops, bases, crops, bases)]
    reach = torch.tensor([n - 1.0 for n in grid]) * 8
    starts = (torch.rand(volumes, crops, 3, generator=generator) * reach).floor()
    return [row.requires_grad_() for row in rows], grid_overlap(starts, grid, (8, 8, 8))


def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


def cut_cosine(a, b):
    return max(0.0, cosine(a, b))


def score_by_loops(overlap, found, form, weighting, eps=1e-6):
    """One volume: lists [crop][base] of overlaps and predictions to (position, negative)."""
    top = bottom = negative = empty = everything = count = 0.0
    for ys, ls in zip(overlap, found, strict=True):
        for y, value in zip(ys, ls, strict=True):
            distance = -math.log(1 - abs(y - value) + eps)
            everything, count = everything + distance, count + 1
            weight = y if weighting == 'overlap' else float(y > 0)
            top, bottom = top + weight * distance, bottom + weight
            if y == 0:
                empty += 1
                negative += value**2 if form == 'square' else -math.log(1 - value + eps)
    if form == 'joint':
        return everything / count, 0.0
    return top / (bottom + eps), negative / (empty + eps)


def loss_by_loops(rows, overlap, prediction, form, weighting='overlap', regular='square', inter_volume=False, **_):
    """The sum of all terms, by the sheet's formulas, one pair of vectors at a time."""
    crops, bases, taught_crops, taught_bases = (row.detach() for row in rows)
    volumes, per_volume, cells = overlap.shape
    sums = 0.0
    for i in range(volumes):

        def between(first, second, i=i, j=None):
            return [[cut_cosine(a, b) for b in second[i if j is None else j]] for a in first[i]]

        found = between(crops, taught_bases)
        if prediction == 'symmetric':
            other = between(taught_crops, bases)
            found = [[(a + b) / 2 for a, b in zip(*pair, strict=True)] for pair in zip(found, other, strict=True)]
        sums += sum(score_by_loops(overlap[i].tolist(), found, form, weighting))
        pairs = [(a, b) for a in range(cells) for b in range(a + 1, cells)]
        if regular == 'absolute':
            sums += sum(abs(cosine(bases[i, a], bases[i, b])) for a, b in pairs) / len(pairs)
        else:
            sums += sum(cut_cosine(bases[i, a], bases[i, b]) ** 2 for a, b in pairs) / len(pairs)
        if inter_volume:
            following = (i + 1) % volumes
            wanted = between(taught_crops, taught_bases, j=following)
            sums += sum(score_by_loops(wanted, between(crops, bases, j=following), form, weighting))
    assert per_volume == len(found)
    return sums / volumes


def summed(terms):
    return torch.stack([value for name, value in terms.items() if 'loss' in name]).sum()


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(sorted(FORMS)), st.integers(0, 10000), st.integers(2, 3))
def test_every_form_is_what_loops_over_pairs_give(name, seed, volumes):
    rows, overlap = drawn(volumes=volumes, seed=seed)
    terms = VoCoLoss(**FORMS[name])(*rows, overlap)
    assert summed(terms).item() == pytest.approx(loss_by_loops(rows, overlap, **FORMS[name]), rel=1e-4, abs=1e-5)


def many_overlaps():
    starts = torch.rand(1, 200_000, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([288.0, 288.0, 0.0])
    return grid_overlap(starts, (4, 4, 1), (96, 96, 96))


@pytest.mark.parametrize('form', ['square', 'log'])
def test_all_zero_predictions_cost_four_minus_a_third_of_pi_squared(form):
    """E[4 * -uv log(1 - uv)] for u, v uniform in 0..1, the four positives of a random place."""
    score = VoCoLoss(form=form).constant_scores(many_overlaps(), torch.zeros(1))
    assert score.item() == pytest.approx(4 - math.pi**2 / 3, abs=2e-3)


@pytest.mark.parametrize(('form', 'best', 'at'), [('square', 0.36, 0.31), ('log', 0.58, 0.19)])
def test_the_best_constant_prediction_costs_what_the_method_sheet_simulated(form, best, at):
    constants = torch.linspace(0, 0.99, 100)
    scores = VoCoLoss(form=form).constant_scores(many_overlaps()[:, :20_000], constants)
    assert scores.min().item() == pytest.approx(best, abs=0.01)
    assert constants[scores.argmin()].item() == pytest.approx(at, abs=0.02)


@pytest.mark.parametrize('name', ['paper', 'cvpr_code', 'v1'])
def test_embeddings_that_know_the_place_cost_nothing(name):
    """Orthonormal bases b_k and crops sum_k y_k b_k + r with r outside their span: the cosine is y exactly."""
    _, overlap = drawn(crops=5)
    cells = overlap.shape[-1]
    bases = torch.eye(cells, cells + 1).expand(2, -1, -1)
    crops = torch.cat([overlap, (1 - overlap.square().sum(dim=-1, keepdim=True)).sqrt()], dim=-1)
    terms = VoCoLoss(**FORMS[name])(crops, bases, crops, bases, overlap)
    assert abs(summed(terms).item()) < 1e-4
    assert terms['overlap_error'].item() < 1e-6
    assert terms['prediction'] < 0.01 * terms['floor_constant'] + 1e-4


def test_embeddings_that_are_all_alike_pay_in_the_regular_term():
    rows = [torch.ones(2, n, 4) for n in (3, 4, 3, 4)]
    _, overlap = drawn()
    terms = VoCoLoss()(*rows, overlap)
    assert terms['loss_regular'].item() == pytest.approx(1.0)


@pytest.mark.parametrize(('regular', 'paid'), [('square', 0.0), ('absolute', 1.0)])
def test_opposite_bases_pay_in_the_paper_and_not_in_the_released_code(regular, paid):
    _, overlap = drawn(grid=(2, 1, 1))
    crops, bases = torch.ones(2, 3, 4), torch.tensor([1.0, -1.0])[None, :, None].expand(2, 2, 4)
    terms = VoCoLoss(regular=regular)(crops, bases, crops, bases, overlap)
    assert terms['loss_regular'].item() == pytest.approx(paid)


def test_the_logged_floor_is_the_best_of_the_constants_on_the_same_overlaps():
    rows, overlap = drawn(crops=6, grid=(3, 3, 1))
    terms = VoCoLoss(form='square')(*rows, overlap)
    every = [
        sum(score_by_loops(crop.tolist(), [[c / 100] * 9] * 6, 'square', 'overlap'))
        for c in range(100)
        for crop in [overlap[0]]
    ]
    alone = VoCoLoss(form='square').constant_scores(overlap[:1], torch.linspace(0, 0.99, 100))
    assert alone.min().item() == pytest.approx(min(every), rel=1e-4)
    assert terms['floor_constant'] <= terms['floor_zero']


@pytest.mark.parametrize(
    ('name', 'reached'),
    [('paper', {'crops'}), ('cvpr_code', {'crops'}), ('v1', {'crops', 'bases'}), ('v2', {'crops'})],
)
def test_the_position_terms_reach_what_the_form_says(name, reached):
    rows, overlap = drawn()
    terms = VoCoLoss(**FORMS[name])(*rows, overlap)
    sum(terms[key] for key in ('loss_position', 'loss_negative') if key in terms).backward()
    names = ('crops', 'bases', 'taught_crops', 'taught_bases')
    found = {key for key, row in zip(names, rows, strict=True) if row.grad is not None and row.grad.abs().sum() > 0}
    assert found == reached


def test_the_term_between_volumes_trains_the_student_alone():
    rows, overlap = drawn()
    VoCoLoss(**FORMS['v2'])(*rows, overlap)['loss_inter'].backward()
    assert rows[0].grad.abs().sum() > 0
    assert rows[1].grad.abs().sum() > 0
    assert rows[2].grad is None
    assert rows[3].grad is None


@pytest.mark.parametrize('detach', [False, True])
def test_the_regular_term_reaches_the_last_base_unless_one_side_is_detached(detach):
    rows, overlap = drawn()
    VoCoLoss(detach_regular=detach)(*rows, overlap)['loss_regular'].backward()
    assert (rows[1].grad[:, -1].abs().sum() == 0) == detach


def test_half_precision_around_it_changes_nothing():
    rows, overlap = drawn()
    plain = VoCoLoss()(*rows, overlap)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = VoCoLoss()(*rows, overlap)
    assert all(torch.equal(plain[name], mixed[name]) for name in plain)


def test_values_for_the_log_are_not_summed_and_carry_no_gradient():
    rows, overlap = drawn()
    terms = VoCoLoss(**FORMS['v2'])(*rows, overlap)
    summed_by_mmengine = {name for name in terms if 'loss' in name}
    assert summed_by_mmengine == {'loss_position', 'loss_negative', 'loss_regular', 'loss_inter'}
    assert not any(value.requires_grad for name, value in terms.items() if 'loss' not in name)


def test_one_volume_has_no_neighbour():
    rows, overlap = drawn(volumes=1)
    with pytest.raises(ValueError, match=r'two or more per process, got 1: set train_dataloader.batch_size=2'):
        VoCoLoss(inter_volume=True)(*rows, overlap)


@pytest.mark.parametrize(
    'wrong', [dict(form='cubic'), dict(prediction='both'), dict(weighting=''), dict(regular='cubic')]
)
def test_an_unknown_choice_is_refused_with_the_known_ones(wrong):
    with pytest.raises(ValueError, match=f'{next(iter(wrong))} must be one of'):
        VoCoLoss(**wrong)

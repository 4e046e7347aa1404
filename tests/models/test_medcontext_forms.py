"""The head's forms beyond the default: controls, regions, unlabelled volumes."""

from __future__ import annotations

import copy

import pytest
import torch
from conftest import batch, tiny_segmentor_config

from medctx3d.models.masking import resize_mask
from medctx3d.registry import HEADS, MODELS


def head(**options):
    return HEADS.build(dict(tiny_segmentor_config()['auxiliary']['medcontext'], **options))


def model(teacher: bool = True, **options):
    torch.manual_seed(0)
    config = copy.deepcopy(tiny_segmentor_config())
    config['auxiliary']['medcontext'].update(options)
    if not teacher:
        del config['teacher']
    built = MODELS.build(config)
    built.prime_teacher()
    return built


def test_masked_supervision_needs_no_teacher():
    terms = model(teacher=False, consistency=None)(*batch(), mode='loss')
    assert sorted(terms) == ['loss_dice_ce', 'medcontext.hidden_fraction', 'medcontext.loss_dice_ce']


def test_a_mean_teacher_without_masks_scores_the_clean_answer_and_supervises_once():
    inputs, samples = batch()
    joint = model(masking=None, patch_size=None)
    with torch.no_grad():
        for weight in joint.teacher.parameters():
            weight.mul_(1.1)
    terms = joint(inputs, samples, mode='loss')
    assert sorted(terms) == ['loss_dice_ce', 'medcontext.disagreement', 'medcontext.loss_consistency']
    with torch.no_grad():
        clean, taught = joint.network(inputs).logits[0], joint.teacher(inputs).logits[0]
        relative = (clean - taught).square().mean((1, 2, 3, 4)) / taught.square().mean((1, 2, 3, 4))
    assert terms['medcontext.loss_consistency'].item() == pytest.approx(0.5 * relative.mean().item(), rel=1e-5)
    assert terms['medcontext.loss_consistency'].item() > 0


def score(joint, region: str, shift) -> float:
    """The consistency term where the student's logits are moved by ``shift`` (N, 1, X, Y, Z)."""
    inputs, samples = batch()
    target = torch.stack([sample.gt_sem_seg.data for sample in samples])
    torch.manual_seed(1)
    form = head(region=region)
    view = form.make_view(inputs, target)
    with torch.no_grad():
        taught = joint.teacher(inputs)
        student = taught._replace(logits=(taught.logits[0] + shift(view, target),))
        terms = form.loss(student=student, taught=taught, target=target, view=view, criterion=joint.criterion)
    return terms['loss_consistency'].item()


def test_hidden_foreground_counts_hidden_voxels_of_organs_alone(segmentor):
    def hidden(view, target):
        return resize_mask(view.mask, (16, 16, 16))[:, None].float()

    def organ(view, target):
        return (target > 0).float()

    assert score(segmentor, 'hidden_foreground', lambda v, t: hidden(v, t) * (1 - organ(v, t))) == 0
    assert score(segmentor, 'hidden_foreground', lambda v, t: (1 - hidden(v, t)) * organ(v, t)) == 0
    assert score(segmentor, 'hidden_foreground', lambda v, t: hidden(v, t) * organ(v, t)) > 0
    assert score(segmentor, 'hidden', lambda v, t: hidden(v, t) * (1 - organ(v, t))) > 0


def test_first_sample_only_ignores_the_others(segmentor):
    inputs, samples = batch()
    target = torch.stack([sample.gt_sem_seg.data for sample in samples])
    form = head(first_sample_only=True)
    view = form.make_view(inputs, target)
    with torch.no_grad():
        taught = segmentor.teacher(inputs)
    second = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1, 1)
    common = dict(taught=taught, target=target, view=view, criterion=segmentor.criterion)
    student = taught._replace(logits=(taught.logits[0] + second,))
    assert form.loss(student=student, **common)['loss_consistency'].item() == 0
    assert head().loss(student=student, **common)['loss_consistency'].item() > 0


def test_the_ramp_scales_the_consistency_and_nothing_else(segmentor):
    inputs, samples = batch()
    torch.manual_seed(3)
    whole = segmentor(inputs, samples, mode='loss')
    segmentor.ramp_auxiliary('medcontext', 0.25)
    torch.manual_seed(3)
    ramped = segmentor(inputs, samples, mode='loss')
    for name in whole:
        factor = 0.25 if name == 'medcontext.loss_consistency' else 1.0
        assert ramped[name].item() == pytest.approx(factor * whole[name].item(), rel=1e-6)


def test_volumes_without_labels_count_in_the_consistency_alone(segmentor):
    inputs, samples = batch(3)
    bare = copy.deepcopy(samples)
    del bare[1].gt_sem_seg
    torch.manual_seed(3)
    mixed = segmentor(inputs, bare, mode='loss')
    torch.manual_seed(3)
    labelled = segmentor(inputs, samples, mode='loss')
    assert mixed['medcontext.loss_consistency'].item() == pytest.approx(
        labelled['medcontext.loss_consistency'].item(), rel=1e-6
    )
    two = segmentor(inputs[[0, 2]], [samples[0], samples[2]], mode='loss')
    assert mixed['loss_dice_ce'].item() == pytest.approx(two['loss_dice_ce'].item(), rel=1e-5)
    assert mixed['loss_dice_ce'].item() != pytest.approx(labelled['loss_dice_ce'].item(), rel=1e-4)


def test_foreground_of_an_unlabelled_volume_is_what_the_teacher_sees(segmentor):
    inputs, _ = batch()
    form = head(region='hidden_foreground')
    unknown = torch.full((2, 1, 16, 16, 16), -1)
    view = form.make_view(inputs, unknown)
    with torch.no_grad():
        taught = segmentor.teacher(inputs)
        seen = taught.logits[0].argmax(1) > 0
        student = taught._replace(logits=(taught.logits[0] + seen[:, None],))
    terms = form.loss(student=student, taught=taught, target=unknown, view=view, criterion=lambda *_: {})
    assert terms['loss_consistency'].item() > 0
    student = taught._replace(logits=(taught.logits[0] + (~seen)[:, None],))
    terms = form.loss(student=student, taught=taught, target=unknown, view=view, criterion=lambda *_: {})
    assert terms['loss_consistency'].item() == 0


def test_a_batch_without_any_label_is_refused_with_the_sampler_to_use(segmentor):
    inputs, samples = batch()
    for sample in samples:
        del sample.gt_sem_seg
    with pytest.raises(ValueError, match="sampler=dict\\(type='MixedSampler'"):
        segmentor(inputs, samples, mode='loss')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(masking=None, consistency=None), 'nothing to learn'),
        (dict(masking=None, region='hidden'), "region must be 'all'"),
        (dict(patch_size=None), 'patch_size must be three'),
    ],
)
def test_forms_that_teach_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        head(**options)


def test_a_teacher_in_training_mode_keeps_its_dropout():
    config = dict(tiny_segmentor_config(), teacher=dict(type='EMATeacher', always_eval=False))
    built = MODELS.build(config).train()
    assert built.teacher.module.training
    assert not built.eval().teacher.module.training
    assert not MODELS.build(tiny_segmentor_config()).train().teacher.module.training

"""The segmentor, its head and its teacher: the method's data flow."""

import copy

import pytest
import torch
from conftest import batch, tiny_segmentor_config
from mmengine.model import convert_sync_batchnorm
from monai.losses import DiceCELoss

from medctx3d.models.masking import hide
from medctx3d.registry import HEADS, MASKINGS, MODELS


def test_loss_is_the_papers_sum_on_fixed_tensors(segmentor):
    """Oracle: clean, hidden and consistency terms computed by hand from the same network."""
    inputs, samples = batch()
    segmentor.teacher.copy_from(segmentor.network)
    with torch.no_grad():
        for weight in segmentor.teacher.module.parameters():
            weight.add_(0.05)  # a teacher that differs, so that the term is not zero
    torch.manual_seed(5)
    terms = segmentor(inputs, samples, mode='loss')
    torch.manual_seed(5)
    mask = MASKINGS.build(dict(type='TubeMask', ratio=0.5))(2, (4, 4, 4))
    target = torch.stack([sample.gt_sem_seg.data for sample in samples])
    criterion = DiceCELoss(to_onehot_y=True, softmax=True)
    with torch.no_grad():
        clean = segmentor.network(inputs).logits[0]
        student = segmentor.network(hide(inputs, mask)).logits[0]
        taught = segmentor.teacher.module(inputs).logits[0]
    ratio = [((s - t) ** 2).mean() / (t**2).mean() for s, t in zip(student, taught, strict=True)]
    assert terms['loss_dice_ce'].item() == pytest.approx(criterion(clean, target).item(), rel=1e-5)
    assert terms['medcontext.loss_dice_ce'].item() == pytest.approx(criterion(student, target).item(), rel=1e-5)
    assert terms['medcontext.loss_consistency'].item() == pytest.approx(0.5 * sum(ratio).item() / 2, rel=1e-5)
    assert terms['medcontext.hidden_fraction'].item() == pytest.approx(0.5)
    disagree = student.argmax(1) != taught.argmax(1)
    voxels = mask.repeat_interleave(4, 1).repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert terms['medcontext.disagreement_hidden'].item() == pytest.approx(disagree[voxels].float().mean().item())
    assert terms['medcontext.disagreement_visible'].item() == pytest.approx(disagree[~voxels].float().mean().item())


def test_loss_changes_no_state_and_is_a_function_of_the_seed(segmentor):
    inputs, samples = batch()
    before = copy.deepcopy(segmentor.state_dict())
    values = []
    for _ in range(2):
        torch.manual_seed(1)
        values.append({key: value.item() for key, value in segmentor(inputs, samples, mode='loss').items()})
    assert values[0] == values[1]
    assert all(torch.equal(value, before[key]) for key, value in segmentor.state_dict().items())


def test_only_terms_named_loss_are_summed(segmentor):
    inputs, samples = batch()
    terms = segmentor(inputs, samples, mode='loss')
    total, _ = segmentor.parse_losses(terms)
    expected = sum(value for key, value in terms.items() if key.rpartition('.')[2].startswith('loss'))
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)


def test_teacher_gets_no_gradient_and_every_student_parameter_does(segmentor):
    inputs, samples = batch()
    total, _ = segmentor.parse_losses(segmentor(inputs, samples, mode='loss'))
    total.backward()
    assert all(weight.grad is None and not weight.requires_grad for weight in segmentor.teacher.parameters())
    assert all(weight.grad is not None for weight in segmentor.network.parameters())


def test_teacher_stays_in_eval_mode(segmentor):
    segmentor.train()
    assert segmentor.network.training
    assert not any(module.training for module in segmentor.teacher.modules())


def test_teacher_may_answer_in_half_precision_with_its_weights_left_alone(segmentor):
    half = MODELS.build(dict(tiny_segmentor_config(), teacher=dict(type='EMATeacher', precision='bfloat16')))
    half.load_state_dict(segmentor.state_dict())
    inputs, samples = batch()
    whole, answer = segmentor.teacher(inputs).logits[0], half.teacher(inputs).logits[0]
    assert answer.dtype == torch.bfloat16
    assert 0 < (answer.float() - whole).norm() < 0.02 * whole.norm()
    assert {weight.dtype for weight in half.teacher.parameters()} == {torch.float32}
    assert half.network(inputs).logits[0].dtype == torch.float32
    terms = half(inputs, samples, mode='loss')
    assert terms['medcontext.loss_consistency'].dtype == torch.float32
    with pytest.raises(ValueError, match=r"precision must be one of \('bfloat16', 'float16'\) or None, got 'int8'"):
        MODELS.build(dict(tiny_segmentor_config(), teacher=dict(type='EMATeacher', precision='int8')))


def test_update_is_the_stated_average_and_counts_its_steps(segmentor):
    before = [weight.clone() for weight in segmentor.teacher.parameters()]
    with torch.no_grad():
        for weight in segmentor.network.parameters():
            weight.add_(1.0)
    segmentor.update_teacher(0.9)
    for old, new, student in zip(before, segmentor.teacher.parameters(), segmentor.network.parameters(), strict=True):
        assert torch.allclose(new, 0.9 * old + 0.1 * student, atol=1e-6)
    assert segmentor.teacher.steps.item() == 2  # the copy and the update


def test_teachers_buffers_are_the_students():
    model = MODELS.build(tiny_segmentor_config(norm='batch'))
    model.prime_teacher()
    inputs, samples = batch()
    model.train()(inputs, samples, mode='loss')  # moves the student's running statistics
    model.update_teacher(0.99)
    pairs = list(zip(model.teacher.module.buffers(), model.network.buffers(), strict=True))
    assert pairs
    assert all(torch.equal(mine, theirs) for mine, theirs in pairs)


def test_teacher_primes_only_when_it_has_taken_no_step(segmentor):
    fresh = MODELS.build(tiny_segmentor_config())
    fresh.load_state_dict(segmentor.state_dict())
    kept = [weight.clone() for weight in fresh.teacher.parameters()]
    with torch.no_grad():
        for weight in fresh.network.parameters():
            weight.zero_()
    fresh.prime_teacher()
    assert all(torch.equal(a, b) for a, b in zip(kept, fresh.teacher.parameters(), strict=True))
    baseline = MODELS.build(tiny_segmentor_config(medcontext=False))
    late = MODELS.build(tiny_segmentor_config())
    late.load_state_dict(baseline.state_dict(), strict=False)  # a baseline's checkpoint has no teacher
    late.prime_teacher()
    student = dict(late.network.named_parameters())
    assert all(torch.equal(weight, student[key]) for key, weight in late.teacher.module.named_parameters())


def test_forgotten_hook_and_forgotten_teacher_say_the_fix():
    model = MODELS.build(tiny_segmentor_config())
    with pytest.raises(RuntimeError, match='EMATeacherHook'):
        model(*batch(), mode='loss')
    config = tiny_segmentor_config()
    del config['teacher']
    with pytest.raises(ValueError, match=r"teacher=dict\(type='EMATeacher'\)"):
        MODELS.build(config)


@pytest.mark.parametrize(
    ('test_cfg', 'message'),
    [
        (dict(predict_with='ema'), "'student' or 'teacher'"),
        (dict(overlap=0.5), "takes 'predict_with'"),
    ],
)
def test_test_cfg_is_checked(test_cfg, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(tiny_segmentor_config(), test_cfg=test_cfg))
    with pytest.raises(ValueError, match='needs teacher='):
        MODELS.build(dict(tiny_segmentor_config(medcontext=False), test_cfg=dict(predict_with='teacher')))


def test_prediction_is_the_windowed_networks_largest_class(segmentor):
    segmentor.eval()
    inputs, samples = batch(1, size=16)
    (sample,) = segmentor(inputs, samples, mode='predict')
    with torch.no_grad():
        expected = segmentor.network(inputs).logits[0].argmax(1)
    assert torch.equal(sample.pred_sem_seg.data, expected)
    assert sample.pred_sem_seg.spacing == (1.0, 1.0, 1.0)
    larger = segmentor(torch.randn(1, 1, 20, 24, 18), mode='predict')[0]
    assert larger.pred_sem_seg.shape == (20, 24, 18)
    assert 'seg_logits' not in larger


def test_predicting_with_the_teacher_and_keeping_logits(segmentor):
    config = dict(tiny_segmentor_config(), test_cfg=dict(predict_with='teacher', keep_logits=True))
    model = MODELS.build(config).eval()
    model.load_state_dict(segmentor.state_dict())
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.zero_()
    inputs, _ = batch(1)
    sample = model(inputs, mode='predict')[0]
    with torch.no_grad():
        expected = model.teacher.module(inputs).logits[0]
    assert torch.allclose(sample.seg_logits.data, expected[0], atol=1e-5)


def test_unknown_mode_is_refused(segmentor):
    with pytest.raises(ValueError, match='mode must be'):
        segmentor(torch.zeros(1, 1, 16, 16, 16), mode='train')


def test_batches_of_unequal_crops_name_the_cases(segmentor):
    _, samples = batch()
    for sample, case in zip(samples, ('a', 'b'), strict=True):
        sample.set_metainfo(dict(case=case))
    data = dict(inputs=[torch.zeros(1, 8, 8, 8), torch.zeros(1, 8, 8, 9)], data_samples=samples)
    with pytest.raises(ValueError, match=r"differ in shape.*\['a', 'b'\]"):
        segmentor.data_preprocessor(data)


@pytest.mark.parametrize('space', ['voxel', 'token', 'both'])
def test_view_hides_where_asked(space):
    head = HEADS.build(
        dict(
            type='MedContextHead',
            masking=dict(type='RandomMask', ratio=0.5),
            patch_size=(4, 4, 4),
            consistency=dict(type='ConsistencyLoss'),
            mask_space=space,
        )
    )
    inputs = torch.ones(2, 1, 8, 8, 8)
    view = head.make_view(inputs, torch.zeros_like(inputs[:, :1]).long())
    assert (view.token_mask is None) == (space == 'voxel')
    assert torch.equal(view.inputs, inputs) == (space == 'token')


def test_consistency_on_hidden_voxels_only_ignores_the_visible_ones(segmentor):
    head = segmentor.auxiliary['medcontext']
    inputs, samples = batch()
    target = torch.stack([sample.gt_sem_seg.data for sample in samples])
    view = head.make_view(inputs, torch.zeros_like(inputs[:, :1]).long())
    with torch.no_grad():
        student, taught = segmentor.network(view.inputs), segmentor.teacher(inputs)
        visible = ~view.mask.repeat_interleave(4, 1).repeat_interleave(4, 2).repeat_interleave(4, 3)
        moved = (student.logits[0] + 10 * visible[:, None], *student.logits[1:])
    common = dict(taught=taught, target=target, view=view, criterion=segmentor.criterion)
    head.region = 'hidden'
    first = head.loss(student=student, **common)['loss_consistency']
    second = head.loss(student=student._replace(logits=moved), **common)['loss_consistency']
    assert first.item() == pytest.approx(second.item())
    head.region = 'all'
    assert head.loss(student=student._replace(logits=moved), **common)['loss_consistency'] > second


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(mask_space='pixel'), 'mask_space must be'),
        (dict(region='masked'), 'region must be'),
        (dict(patch_size=(0, 4, 4)), 'patch_size must be'),
        (dict(weight=-1), 'weight must not be negative'),
    ],
)
def test_head_refuses_impossible_options(options, message):
    config = dict(tiny_segmentor_config()['auxiliary']['medcontext'], **options)
    with pytest.raises(ValueError, match=message):
        HEADS.build(config)


def test_a_second_objective_joins_without_touching_the_first(segmentor):
    """Two heads on one batch: two masks, two prefixes, the clean pass shared."""
    config = tiny_segmentor_config()
    other = copy.deepcopy(config['auxiliary']['medcontext'])
    other['masking'] = dict(type='RandomMask', ratio=0.25)
    config['auxiliary']['second'] = other
    model = MODELS.build(config)
    model.prime_teacher()
    terms = model(*batch(), mode='loss')
    prefixes = [key.partition('.')[0] for key in terms]
    assert prefixes.count('medcontext') == prefixes.count('second') == 5
    assert terms['second.hidden_fraction'].item() == pytest.approx(0.25)


def test_training_steps_reduce_the_loss(segmentor):
    inputs, samples = batch()
    optimizer = torch.optim.AdamW(segmentor.network.parameters(), lr=2e-2)
    totals = []
    for _ in range(25):
        total, _ = segmentor.parse_losses(segmentor(inputs, samples, mode='loss'))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        segmentor.update_teacher(0.9)
        totals.append(total.item())
    assert sum(totals[-5:]) < 0.8 * sum(totals[:5])


def test_an_auxiliary_objective_of_another_kind_is_refused():
    with pytest.raises(TypeError, match="'odd' must be an AuxiliaryHead, got Identity"):
        MODELS.build(dict(tiny_segmentor_config(medcontext=False), auxiliary=dict(odd=torch.nn.Identity())))


def test_synchronised_batchnorm_keeps_teacher_and_student_in_step():
    """mmengine converts BatchNorm after the teacher was made; both must be converted, the teacher still frozen."""
    model = MODELS.build(tiny_segmentor_config(norm='batch'))
    model = convert_sync_batchnorm(model, 'torch')
    model.train()
    model.prime_teacher()
    kinds = [type(module) for module in model.network.modules()]
    assert torch.nn.SyncBatchNorm in kinds
    assert [type(module) for module in model.teacher.module.modules()] == kinds
    assert not any(module.training for module in model.teacher.modules())
    assert not any(weight.requires_grad for weight in model.teacher.parameters())
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.add_(1.0)
        for buffer in model.network.buffers():
            buffer.add_(1)
    before = [weight.clone() for weight in model.teacher.parameters()]
    model.update_teacher(0.5)
    for old, new, student in zip(before, model.teacher.parameters(), model.network.parameters(), strict=True):
        assert torch.allclose(new, 0.5 * (old + student))
    assert all(
        torch.equal(mine, theirs)
        for mine, theirs in zip(model.teacher.module.buffers(), model.network.buffers(), strict=True)
    )

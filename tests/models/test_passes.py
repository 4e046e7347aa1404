"""The three forms of one step: the same gradients, another order, memory and number of passes."""

from __future__ import annotations

import copy

import pytest
import torch
from conftest import batch, tiny_segmentor_config
from mmengine.model import BaseDataPreprocessor
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import nn

from medctx3d.engine.optim_wrappers import CPUAmpOptimWrapper
from medctx3d.models.backbones.swin_unetr import hide_tokens
from medctx3d.models.heads import AuxiliaryHead
from medctx3d.models.segmentors import SequentialDistributedDataParallel
from medctx3d.registry import MODELS
from medctx3d.typing import SegOutput, View

FORMS = ('sequential', 'concatenated')


class AsItIs(BaseDataPreprocessor):
    """Keeps float64, which VolumePreprocessor would not."""

    def forward(self, data, training=False):
        return data


class Holding(OptimWrapper):
    """Never steps, so that the gradients of a step can be read."""

    def should_update(self):
        return False


class FeatureNorm(AuxiliaryHead):
    """An objective on the clean pass, with a parameter and a random draw of its own."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(8))

    def loss(self, *, student, taught, target, view, criterion):
        noise = torch.rand(8, dtype=student.features[-1].dtype)
        pooled = student.features[-1].mean(dim=(0, 2, 3, 4))
        return {'loss_norm': (self.scale * noise * pooled).square().sum(), 'noise': noise.mean()}


class Noisy(AuxiliaryHead):
    """A view that is no mask, of a shape or a differentiability to choose, scored through a parameter."""

    def __init__(self, *, side=8, silent=False):
        super().__init__()
        self.side, self.silent = side, silent
        self.weight = nn.Parameter(torch.ones(()))

    def make_view(self, inputs, target):
        return View((inputs + 0.1 * torch.randn_like(inputs))[..., : self.side])

    def loss(self, *, student, taught, target, view, criterion):
        score = self.weight * (student.logits[0] - taught.logits[0]).square().mean()
        return {'score': score.detach()} if self.silent else {'loss_noise': score}


class TokenNet(nn.Module):
    """A full-resolution skip, tokens of 4^3 voxels that may be hidden, and dropout."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.embed = nn.Conv3d(1, 8, 4, stride=4)
        self.skip = nn.Conv3d(1, 4, 3, padding=1)
        self.up = nn.ConvTranspose3d(8, 4, 4, stride=4)
        self.out = nn.Conv3d(4, 3, 1)
        self.mask_token = nn.Parameter(torch.randn(8))
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs, mask=None):
        tokens = self.embed(inputs)
        if mask is not None:
            tokens = hide_tokens(tokens, mask, self.mask_token)
        tokens = self.dropout(tokens.sigmoid())
        return SegOutput((self.out((self.skip(inputs) + self.up(tokens)).tanh()),), (tokens,))


def build(passes='sum', *, network=None, **heads):
    """A primed segmentor in float64 whose teacher differs from its student; ``heads`` join or change MedContext."""
    config = tiny_segmentor_config()
    config.update(passes=passes, data_preprocessor=AsItIs())
    if network is not None:
        config['network'] = network
    config['auxiliary'] |= heads
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(config)).double().train()
    model.prime_teacher()
    with torch.no_grad():
        for weight in model.teacher.parameters():
            weight.mul_(1.1)
    return model


def data(count=2, seed=0):
    inputs, samples = batch(count, size=8, seed=seed)
    return dict(inputs=inputs.double(), data_samples=samples)


def step(model, wrapper=Holding, seed=3):
    """Log and gradients of one step, masks and dropout drawn from ``seed``."""
    optim_wrapper = wrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    torch.manual_seed(seed)
    log = model.train_step(data(), optim_wrapper)
    return log, {name: weight.grad for name, weight in model.named_parameters() if weight.requires_grad}


def masked(**changes):
    return dict(tiny_segmentor_config()['auxiliary']['medcontext'], **changes)


CASES = {
    'one mask': dict(),
    'two masks, a noisy view and the clean pass': dict(
        clean=FeatureNorm(), second=masked(masking=dict(type='RandomMask', ratio=0.25)), noisy=Noisy()
    ),
    'mean teacher without masks': dict(medcontext=masked(masking=None, patch_size=None)),
    'tokens': dict(network=TokenNet(), medcontext=masked(mask_space='token')),
    'tokens on two grids, and voxels': dict(
        network=TokenNet(),
        medcontext=masked(mask_space='both'),
        second=masked(mask_space='token', patch_size=(8, 4, 2)),
        voxels=masked(),
    ),
}


@pytest.mark.parametrize('passes', FORMS)
@pytest.mark.parametrize('case', CASES)
def test_gradients_and_log_are_those_of_the_sum(case, passes):
    log, gradients = step(build(**CASES[case]))
    other_log, other = step(build(passes, **CASES[case]))
    assert all(gradient is not None for gradient in gradients.values())
    for name, gradient in gradients.items():
        assert (gradient - other[name]).abs().max() < 1e-10, name
    assert list(other_log) == list(log)
    for name, value in log.items():
        assert other_log[name].item() == pytest.approx(value.item(), abs=1e-10), name


def test_sequential_draws_the_dropout_and_masks_of_the_sum():
    """Student and, as published for nnFormer, teacher with dropout."""
    options = dict(
        network=TokenNet(dropout=0.5), medcontext=masked(mask_space='both'), clean=FeatureNorm(), noisy=Noisy()
    )
    results = []
    for passes in ('sum', 'sequential'):
        model = build(passes, **options)
        model.teacher.always_eval = False
        model.train()
        results.append(step(model)[1])
    for name, gradient in results[0].items():
        assert (gradient - results[1][name]).abs().max() < 1e-10, name
    _, undropped = step(build(**{**options, 'network': TokenNet()}))
    assert any((gradient - undropped[name]).abs().max() > 1e-6 for name, gradient in results[0].items())


def test_unlabelled_volumes_count_alike_in_all_forms():
    gradients = {}
    for passes in ('sum', *FORMS):
        model, crops = build(passes), data(3)
        del crops['data_samples'][1].gt_sem_seg
        torch.manual_seed(3)
        model.train_step(crops, Holding(torch.optim.SGD(model.parameters(), lr=0.1)))
        gradients[passes] = [weight.grad for weight in model.network.parameters()]
    for passes in FORMS:
        pairs = zip(gradients[passes], gradients['sum'], strict=True)
        assert all((mine - theirs).abs().max() < 1e-10 for mine, theirs in pairs)


@pytest.mark.parametrize(('passes', 'calls'), [('sum', 3), ('sequential', 3), ('concatenated', 1)])
def test_teacher_answers_once_whatever_the_passes(passes, calls):
    model = build(passes, second=masked())
    seen = []
    model.network.register_forward_hook(lambda *_: seen.append('student'))
    model.teacher.register_forward_hook(lambda *_: seen.append('teacher'))
    step(model)
    assert (seen.count('student'), seen.count('teacher')) == (calls, 1)


@pytest.mark.parametrize('passes', ['sum', *FORMS])
def test_loss_changes_no_state_and_does_not_depend_on_the_form(passes):
    model, crops = build(passes, noisy=Noisy()), data()
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(3)
    terms = model(**crops, mode='loss')
    other = build(noisy=Noisy())
    torch.manual_seed(3)
    reference = other(**crops, mode='loss')
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        {name: value.item() for name, value in reference.items()}, abs=1e-10
    )
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())


class SavedTensors(torch.autograd.graph.saved_tensors_hooks):
    """Bytes that autograd keeps for the backward pass: now, and at most. Weights are there anyway and do not count."""

    class Kept:
        def __init__(self, tensor, count):
            self.tensor, self.count = tensor, count
            count(tensor, 1)

        def __del__(self):
            self.count(self.tensor, -1)

    def __init__(self, model):
        self.weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
        self.users, self.now, self.peak = {}, 0, 0
        super().__init__(lambda tensor: self.Kept(tensor, self.count), lambda kept: kept.tensor)

    def count(self, tensor, change):
        storage = tensor.untyped_storage()
        if storage.data_ptr() in self.weights:
            return
        users = self.users.get(storage.data_ptr(), 0) + change
        self.users[storage.data_ptr()] = users
        if users == (1 if change > 0 else 0):
            self.now += change * storage.nbytes()
            self.peak = max(self.peak, self.now)


def saved(config):
    model = MODELS.build(config).train()
    model.prime_teacher()
    inputs, samples = batch(2, size=32)
    kept = SavedTensors(model)
    with kept:
        model.train_step(
            dict(inputs=list(inputs), data_samples=samples), OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
        )
    assert kept.now == 0  # every graph was let go
    return kept.peak


def test_sequential_needs_the_memory_of_one_pass():
    heads = dict(medcontext=masked(), second=masked())
    baseline = saved(tiny_segmentor_config(medcontext=False))
    joint = dict(tiny_segmentor_config(), auxiliary=heads)
    assert saved(dict(joint, passes='sequential')) <= 1.15 * baseline
    assert saved(dict(joint, passes='sum')) > 2.9 * baseline


class Scaled(AmpOptimWrapper):
    """mmengine's mixed-precision wrapper with torch's gradient scaler for the CPU; its constructor wants a GPU."""

    def __init__(self, optimizer, **options):
        OptimWrapper.__init__(self, optimizer, **options)
        self.loss_scaler = torch.amp.GradScaler('cpu', init_scale=1024.0)
        self._scale_update_param = None
        self.cast_dtype = None


def test_loss_scale_accumulation_and_clipping_see_one_step():
    weights = {'start': build(noisy=Noisy()).state_dict()}
    for passes in ('sum', *FORMS):
        model = build(passes, noisy=Noisy())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        wrapper = Scaled(optimizer, accumulative_counts=2, clip_grad=dict(max_norm=0.05))
        wrapper.initialize_count_status(model, 0, 5)
        updates = []
        for number in range(5):
            torch.manual_seed(number)
            model.train_step(data(seed=number), wrapper)
            updates.append(wrapper.should_update())
        assert updates == [False, True, False, True, True]  # the fifth stands alone
        assert wrapper.inner_count == 5
        weights[passes] = model.state_dict()
    for name, value in weights['sum'].items():
        if name.startswith('network.'):
            assert not torch.equal(value, weights['start'][name]), name
        assert all((value - weights[passes][name]).abs().max() < 1e-10 for passes in FORMS), name


def test_bfloat16_gives_every_form_the_gradients_of_the_sum_but_for_rounding():
    gradients = {}
    for passes in ('sum', *FORMS):
        model = build(passes).float()
        wrapper = CPUAmpOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), accumulative_counts=2)
        crops = data()
        torch.manual_seed(3)
        model.train_step(dict(crops, inputs=crops['inputs'].float()), wrapper)
        gradients[passes] = torch.cat([weight.grad.flatten() for weight in model.network.parameters()])
    for passes in FORMS:
        assert torch.cosine_similarity(gradients[passes], gradients['sum'], dim=0) > 0.999


def test_batch_statistics_and_one_batch_exclude_each_other():
    joint = dict(tiny_segmentor_config(norm='batch'), passes='concatenated')
    layer = r'network\.backbone\.stages\.0\.norm1 \(BatchNorm3d\) would mix'
    with pytest.raises(ValueError, match=layer + r".*norm='instance'.*passes='sum'"):
        MODELS.build(joint)
    MODELS.build(dict(tiny_segmentor_config(norm='batch'), passes='sequential'))
    MODELS.build(dict(tiny_segmentor_config(norm='batch', medcontext=False), passes='concatenated'))


@pytest.mark.parametrize(
    ('passes', 'head', 'message'),
    [
        ('concatenated', Noisy(side=4), r'\(2, 1, 8, 8, 8\), got a view of \(2, 1, 8, 8, 4\)'),
        ('sequential', Noisy(silent=True), r"\['noisy\.score'\] carry no gradient: drop that auxiliary head"),
    ],
)
def test_what_a_form_cannot_do_is_said_with_the_way_out(passes, head, message):
    with pytest.raises(ValueError, match=message):
        step(build(passes, noisy=head))


def test_unknown_form_is_refused():
    with pytest.raises(ValueError, match=r"passes must be one of \('sum', 'sequential', 'concatenated'\), got 'both'"):
        build('both')


@pytest.mark.parametrize(
    ('passes', 'options', 'message'),
    [
        ('sum', {}, "must be a VolumeSegmentor with passes='sequential'"),
        ('sequential', dict(detect_anomalous_params=True), 'only the last pass leaves out'),
    ],
)
def test_the_distributed_wrapper_is_for_sequential_steps(passes, options, message):
    with pytest.raises(ValueError, match=message):
        SequentialDistributedDataParallel(build(passes), **options)

"""Contract of every pretraining method, and what each claims for itself."""

import copy

import pytest
import torch
from tiny_pretraining import EMBEDDING, METHODS, PROJECTOR, built, samples
from torch.nn import functional as F

from medctx3d.models.selfsup import SelfSupervisor
from medctx3d.registry import MODELS

METHOD = pytest.mark.parametrize('name', sorted(METHODS))


def volumes(count=3, seed=0):
    return torch.rand(count, 1, 16, 16, 8, generator=torch.Generator().manual_seed(seed))


def loss(model, inputs, seed=1):
    torch.manual_seed(seed)
    return model(inputs, samples(inputs), mode='loss')


def test_every_registered_method_is_covered_here():
    MODELS.import_from_location()
    parts = [part for part in MODELS.module_dict.values() if isinstance(part, type)]
    shipped = [part for part in parts if issubclass(part, SelfSupervisor) and part.__module__.startswith('medctx3d')]
    own = {part.__name__ for part in shipped}
    stacked = {'LRC'}  # on others, with region maps: test_region_contrast_head.py
    assert own == {config['type'] for config in METHODS.values()} | stacked


@METHOD
def test_loss_is_a_function_of_inputs_and_seed(name):
    model = built(name).eval()  # in eval mode no queue moves
    before = copy.deepcopy(model.state_dict())
    first, again, other = loss(model, volumes()), loss(model, volumes()), loss(model, volumes(), seed=2)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@METHOD
def test_gradients_reach_every_trained_parameter_and_no_teacher(name):
    model = built(name)
    loss(model, volumes())  # MoCo's first batch has no queue yet
    terms = loss(model, volumes(seed=1))
    torch.stack([value for key, value in terms.items() if 'loss' in key]).sum().backward()
    trained = {key for key, weight in model.named_parameters() if weight.requires_grad}
    reached = {key for key, weight in model.named_parameters() if weight.grad is not None and weight.grad.abs().sum()}
    assert trained == {key for key, _ in model.named_parameters() if key.startswith('network.')}
    biases_before_norms = {key for key in trained - reached if key.endswith('bias')}
    assert trained - reached == biases_before_norms


@METHOD
def test_a_few_steps_on_one_batch_lower_the_loss(name):
    torch.manual_seed(0)
    model, inputs = built(name), volumes(4)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    seen = []
    for _ in range(30):
        terms = loss(model, inputs)
        total = torch.stack([value for key, value in terms.items() if 'loss' in key]).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        model.update_teacher(0.9)
        seen.append(total.item())
    assert min(seen[-5:]) < 0.9 * max(seen[:8])  # MoCo's loss rises while its queue fills


@METHOD
def test_the_encoder_is_called_as_in_a_segmentor_and_shows_its_features(name):
    model = built(name)
    assert any(key.startswith('network.backbone.') for key in model.state_dict())
    answer = model(volumes(), mode='tensor')
    assert [tuple(feature.shape[1:]) for feature in answer.features] == [(4, 16, 16, 8), (8, 8, 8, 4), (8, 4, 4, 2)]


@METHOD
def test_embeddings_are_rows_of_which_there_are_several(name):
    rows = built(name).embeddings(volumes())
    assert rows.ndim == 2
    assert len(rows) > 3


@METHOD
def test_labels_cannot_be_asked_for(name):
    with pytest.raises(ValueError, match="mode must be 'loss' or 'tensor', got 'predict'"):
        built(name)(volumes(), [], mode='predict')


@pytest.mark.parametrize('name', ['voco_v1', 'voco_v2', 'moco'])
def test_the_teacher_copies_what_it_is_told_to(name):
    model = built(name)
    student = model.network.projector if name == 'voco_v2' else model.network
    pairs = list(zip(model.teacher.module.parameters(), student.parameters(), strict=True))
    assert all(torch.equal(mine, theirs) for mine, theirs in pairs)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.add_(1.0)
    model.update_teacher(0.9)
    assert all(torch.allclose(theirs - mine, torch.full_like(mine, 0.9), atol=1e-5) for mine, theirs in pairs)


def test_a_teacher_of_the_projector_answers_on_the_students_pooled_features():
    model = built('voco_v2')
    inputs = volumes(2)
    with torch.no_grad():
        for weight in model.network.backbone.parameters():
            weight.mul_(1.5)  # the backbone is shared: no copy of it may answer
    embedded = model.network(inputs)
    torch.testing.assert_close(model._taught(inputs, embedded), embedded.vectors.detach())


def test_without_teacher_the_students_own_embeddings_are_the_bases():
    model = built('voco_paper')
    embedded = model.network(volumes())
    taught = model._taught(volumes(), embedded)
    assert torch.equal(taught, embedded.vectors)
    assert not taught.requires_grad


def test_moco_is_cross_entropy_over_cosines_with_the_batch_and_the_queue():
    model = built('moco')
    loss(model, volumes(4), seed=3)
    queue = model.queue.clone()[: int(model.filled)]
    torch.manual_seed(4)
    queries = F.normalize(model.network(model.view(volumes())).vectors, dim=1)
    keys = F.normalize(model.teacher(model.view(volumes())).vectors, dim=1)
    expected = 0.0
    for i, query in enumerate(queries):
        scores = [float(query @ key) / 0.2 for key in [*keys, *queue]]
        expected -= scores[i] - torch.tensor(scores).logsumexp(0).item()
    assert loss(model, volumes(), seed=4)['loss_contrast'].item() == pytest.approx(expected / len(queries), rel=1e-4)


def test_the_queue_holds_the_newest_keys_and_stays_still_in_eval_mode():
    model = built('moco')
    seen = []
    for seed in range(3):
        torch.manual_seed(seed)
        model.view(volumes())
        seen.append(F.normalize(model.teacher(model.view(volumes())).vectors, dim=1))
        loss(model, volumes(), seed=seed)
    assert int(model.filled) == 9
    newest = torch.cat([seen[2], seen[1]])
    torch.testing.assert_close(model.queue, newest)
    loss(model.eval(), volumes())
    torch.testing.assert_close(model.queue, newest)


@pytest.mark.parametrize(
    ('name', 'projector', 'value', 'floor'),
    [
        ('simclr', 'projector', 'loss_contrast', 'floor_constant'),
        ('moco', 'projector', 'loss_contrast', 'floor_constant'),
        ('lrc', 'local_projector', 'loss_region', 'floor_region'),
    ],
)
def test_the_floor_is_what_a_collapsed_projector_scores(name, projector, value, floor):
    model = built(name)
    before = loss(model, volumes())
    assert abs(before[value].item() - before[floor].item()) > 1e-3
    for network in (model.network, getattr(model.teacher, 'module', None)):
        if network is not None:
            last = getattr(network, projector)[-1]
            torch.nn.init.zeros_(last.weight)
            torch.nn.init.ones_(last.bias)
    if name == 'moco':
        model.queue[:] = F.normalize(torch.ones_like(model.queue), dim=1)
    terms = loss(model, volumes())
    assert terms[value].item() == pytest.approx(terms[floor].item(), rel=1e-5)
    assert not terms[floor].requires_grad


def test_the_masked_autoencoder_scores_hidden_voxels_alone():
    model = built('masked_autoencoder')
    inputs = volumes(2)
    torch.manual_seed(1)
    mask = model.masking(2, (4, 4, 2))
    hidden = mask.repeat_interleave(4, 1).repeat_interleave(4, 2).repeat_interleave(4, 3)[:, None]
    restored = model.network(inputs.masked_fill(hidden, 0.0)).logits[0]
    errors = [((r - x)[h] ** 2) for r, x, h in zip(restored, inputs, hidden, strict=True)]
    means = [(x[~h].mean() - x[h]) ** 2 for x, h in zip(inputs, hidden, strict=True)]
    terms = loss(model, inputs)
    torch.testing.assert_close(terms['loss_reconstruction'], torch.cat(errors).mean())
    torch.testing.assert_close(terms['mean_error'], torch.cat(means).mean())


def test_restoration_aims_at_the_volume_before_corruption():
    model = built('image_restoration')
    inputs = volumes()
    kept = inputs.clone()
    torch.manual_seed(1)
    corrupted = model.corrupt(inputs)
    assert torch.equal(inputs, kept)
    assert not torch.equal(corrupted, inputs)
    torch.manual_seed(1)
    terms = model(inputs, [], mode='loss')
    torch.testing.assert_close(terms['corruption'], F.mse_loss(corrupted, inputs))
    torch.testing.assert_close(terms['loss_restoration'], F.mse_loss(model.network(corrupted).logits[0], inputs))


def test_a_batch_of_one_is_refused_where_others_are_the_negatives():
    with pytest.raises(ValueError, match=r'SimCLR .* got 1: set train_dataloader.batch_size=2'):
        loss(built('simclr'), volumes(1))
    with pytest.raises(ValueError, match=r'inter_volume .* got 1'):
        loss(built('voco_v2'), volumes(1))


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        (
            'voco_v1',
            r'PositionCrops: .* got \(16, 16, 6\): .*base_size=\(8, 8, 6\) would fit',
        ),
        ('moco', r'RandomViews: .* do not fit into crops of \(16, 16, 6\): .* size=\(8, 8, 6\) would fit'),
        ('simclr', r'RandomViews: .* size=\(8, 8, 6\) would fit'),
    ],
)
def test_volumes_of_a_size_that_a_method_cannot_cut_are_named_with_what_would_fit(name, words):
    inputs = torch.rand(2, 1, 16, 16, 6)
    cases = samples(inputs)
    for case, sample in zip('ab', cases, strict=True):
        sample.set_metainfo(dict(case=f'case_{case}'))
    with pytest.raises(ValueError, match=f'^case_a, case_b: {words}'):
        built(name)(inputs, cases, mode='loss')


@pytest.mark.parametrize('name', ['moco', 'voco_v1'])
def test_a_projector_that_normalises_over_the_batch_says_that_it_needs_two(name):
    model = built(name, network=dict(EMBEDDING, projector=dict(PROJECTOR, norm='batch')))
    if name == 'voco_v1':  # two crops and four cells a volume: one volume will do
        assert loss(model, volumes(1))['loss_position'].isfinite()
        return
    with pytest.raises(ValueError, match=r"norm='batch' .* got 1: set train_dataloader.batch_size=2 .* norm='layer'"):
        loss(model, volumes(1))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(METHODS['moco'], teacher=None), 'the keys come from a teacher'),
        (dict(METHODS['moco'], temperature=0.0), 'temperature positive'),
        (dict(METHODS['voco_v2'], teacher=None, teacher_of=''), 'inter_volume follows a teacher'),
        (dict(METHODS['voco_v1'], teacher_of='projektor'), r'a part of the network \(backbone, projector\)'),
        (dict(METHODS['voco_v1'], teacher_of='backbone'), "must be '' or 'projector'"),
        (dict(METHODS['image_restoration'], corruption=[]), 'nothing to restore'),
        (dict(METHODS['moco'], network=dict(EMBEDDING, levels=(3,))), r'has 3 \(0 to 2, finest first, of \(4, 8, 8\)'),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_built(changes, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(changes)

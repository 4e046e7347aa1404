"""What pretraining methods refuse, and what they say to write instead."""

import copy

import pytest
import torch
from test_selfsup import loss, volumes
from tiny_pretraining import EMBEDDING, METHODS, RESTORING, built, samples

from medctx3d.registry import MODELS


@pytest.mark.parametrize('name', ['moco', 'lrc'])
def test_a_batch_of_one_is_refused_where_the_projector_normalises_over_the_batch(name):
    config = copy.deepcopy(METHODS[name])
    (config['base'] if name == 'lrc' else config)['network']['projector']['norm'] = 'batch'
    model = MODELS.build(config)
    model.prime_teacher()
    for mode in (True, False):
        with pytest.raises(
            ValueError, match=r"norm='batch' .* got 1: set train_dataloader.batch_size=2 .* norm='layer'"
        ):
            loss(model.train(mode), volumes(1))
    assert loss(built(name), volumes(1))['loss_contrast'].isfinite()  # normalised row by row: the queue suffices


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


@pytest.mark.parametrize('name', sorted(set(METHODS) - {'lrc'}))
def test_a_network_of_another_class_is_refused_with_what_to_write(name):
    wanted, other, rest = 'EncoderDecoder', EMBEDDING, 'decode_head=dict'
    if METHODS[name]['network']['type'] == 'EmbeddingNet':
        wanted, other, rest = 'EmbeddingNet', RESTORING, r"projector=dict\(type='Projector'\)"
    words = rf"must be an {wanted}, got {other['type']}: set network=dict\(type='{wanted}', backbone=.*{rest}"
    with pytest.raises(ValueError, match=f'{METHODS[name]["type"]}: network {words}'):
        MODELS.build(METHODS[name] | dict(network=other))


@pytest.mark.parametrize('base', ['moco', 'masked_autoencoder'])
def test_region_contrast_names_the_network_it_needs(base):
    with pytest.raises(ValueError, match=r'of an EmbeddingNet: give base.network a decode_head.*; got \w+ with E'):
        MODELS.build(METHODS['lrc'] | dict(base=METHODS[base]))


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

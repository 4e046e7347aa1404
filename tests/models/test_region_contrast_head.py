"""The contrast of regions inside supervised and MedContext training, and on top of pretrainings."""

from __future__ import annotations

import copy

import pytest
import torch
from conftest import batch, tiny_segmentor_config
from tiny_pretraining import CROPS, EMBEDDING, METHODS

from medctx3d.models.heads import RegionContrastHead
from medctx3d.models.losses.region_contrast_loss import RegionContrastLoss
from medctx3d.registry import MODELS
from medctx3d.structures import VolumeData

CONTRAST = dict(type='RegionContrastLoss', max_regions=8, anchors=4, negatives=32)
HEAD = dict(type='RegionContrastHead', contrast=CONTRAST, channels=8)
DECODED = dict(
    EMBEDDING,
    decode_head=dict(type='UNetDecoder'),
    local_projector=dict(type='Projector', hidden_channels=8, out_channels=8, num_layers=2, norm='none'),
)
LRC = dict(
    type='LRC',
    views=dict(type='RandomViews', size=(12, 12, 12)),
    contrast=CONTRAST,
    jitter=dict(type='IntensityJitter'),
)


def with_regions(count=2, size=16):
    inputs, samples = batch(count, size)
    axis = torch.arange(size) // 4
    ids = 1 + (axis[:, None, None] * 4 + axis[:, None]) * 4 + axis
    for sample in samples:
        sample.gt_regions = VolumeData(data=ids[None].int())
    return inputs, samples


def segmentor(*, medcontext=False, passes='sum', **head):
    config = tiny_segmentor_config(medcontext=medcontext)
    config['auxiliary'] = {**config.get('auxiliary', {}), 'regions': {**HEAD, **head}}
    if head.get('second') == 'teacher':
        config['teacher'] = dict(type='EMATeacher')
    torch.manual_seed(0)
    model = MODELS.build(dict(config, passes=passes))
    model.prime_teacher()
    return model.train()


def lrc(base, **changes):
    network = METHODS[base]['network'] | {key: DECODED[key] for key in ('decode_head', 'local_projector')}
    method = METHODS[base] | dict(network=network)
    if 'crops' in method:
        method['crops'] = dict(CROPS, grid=(2, 2, 2))
    torch.manual_seed(0)
    model = MODELS.build(dict(LRC, base=method, **changes))
    model.prime_teacher()
    return model.train()


def total(terms):
    return sum(value for name, value in terms.items() if 'loss' in name)


@pytest.mark.parametrize(
    'options', [{}, dict(second='teacher'), dict(second='teacher', jitter=dict(type='IntensityJitter'))]
)
@pytest.mark.parametrize('medcontext', [False, True])
def test_the_head_adds_one_term_and_trains_network_and_projector(options, medcontext):
    model = segmentor(medcontext=medcontext, **options)
    inputs, samples = with_regions()
    terms = model.loss(inputs, samples)
    assert terms['regions.regions'] == 8
    assert terms['regions.spared'] == 0
    terms['regions.loss_region'].backward()
    network = [p.grad for n, p in model.network.named_parameters() if '.outs.' not in n]
    assert all(grad is not None and grad.abs().sum() > 0 for grad in network if grad is not None)
    assert sum(grad is not None for grad in network) == len(network)
    assert all(p.grad is not None for p in model.auxiliary['regions'].parameters())
    if model.teacher is not None:
        assert all(p.grad is None for p in model.teacher.parameters())


def test_the_term_is_the_loss_of_the_decoders_projected_features():
    model = segmentor(weight=0.5)
    inputs, samples = with_regions()
    head = model.auxiliary['regions']
    head.ramp = 0.25
    torch.manual_seed(3)
    value = model.loss(inputs, samples)['regions.loss_region']
    torch.manual_seed(3)
    decoded = model.network(inputs).decoded
    rows = head.projector(decoded.movedim(1, -1)).movedim(-1, 1)
    regions = torch.stack([sample.gt_regions.data for sample in samples])
    contrast = RegionContrastLoss(**{k: v for k, v in CONTRAST.items() if k != 'type'})
    wanted = contrast(rows, regions)
    assert value.item() == pytest.approx(0.5 * 0.25 * wanted.item(), rel=1e-5)


def test_decoded_features_are_what_the_logits_are_projected_from():
    model = segmentor()
    inputs, _ = with_regions()
    answer = model.network(inputs)
    torch.testing.assert_close(model.network.decode_head.outs[0](answer.decoded), answer.logits[0])


@pytest.mark.parametrize('passes', ['sequential', 'concatenated'])
def test_all_forms_of_passes_carry_the_term(passes):
    inputs, samples = with_regions()
    found = {}
    for form in ('sum', passes):
        model = segmentor(medcontext=True, passes=form, second='teacher')
        torch.manual_seed(5)
        found[form] = model.loss(inputs, samples)
    for name in ('regions.loss_region', 'medcontext.loss_consistency'):
        assert found[passes][name].item() == pytest.approx(found['sum'][name].item(), rel=1e-4)


def test_volumes_without_labels_take_part_and_without_maps_are_named():
    model = segmentor()
    inputs, samples = with_regions()
    del samples[1].gt_sem_seg
    assert model.loss(inputs, samples)['regions.regions'] == 8
    del samples[1].gt_regions
    samples[1].set_metainfo(dict(case='volume 7'))
    with pytest.raises(ValueError, match=r"volume 7 came without.*region_maps='beside'"):
        model.loss(inputs, samples)


def test_air_takes_no_part():
    model = segmentor(body_above=-0.5)
    inputs, samples = with_regions()
    inputs[:, :, :8] = -1
    terms = model.loss(inputs, samples)
    assert terms['regions.loss_region'].isfinite()
    extras = model.auxiliary['regions'].extras(inputs, samples)
    assert (extras['regions'][:, :, :8] == 0).all()
    assert (extras['regions'][:, :, 8:] > 0).any()


def test_a_network_without_decoder_features_is_refused_when_built():
    config = tiny_segmentor_config(medcontext=False)
    net = dict(
        type='monai.networks.nets.UNet', spatial_dims=3, in_channels=1, out_channels=3, channels=(4, 8), strides=(2,)
    )
    with pytest.raises(
        ValueError, match="RegionContrastHead reads the decoder's features, and WholeNet hands out none"
    ):
        MODELS.build(dict(config, network=dict(type='WholeNet', net=net), auxiliary=dict(regions=HEAD)))


@pytest.mark.parametrize(
    ('options', 'words'),
    [(dict(second='both'), 'second must be one of'), (dict(weight=-1.0), 'channels must be at least 1')],
)
def test_wrong_arguments_of_the_head_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        RegionContrastHead(RegionContrastLoss(), in_channels=4, **options)


@pytest.mark.parametrize('base', ['moco', 'voco_paper', 'voco_v1', 'voco_v2', 'simclr'])
def test_lrc_adds_a_local_term_to_any_global_method(base):
    model = lrc(base)
    inputs, samples = with_regions(4)
    terms = model.loss(inputs, samples)
    assert 'loss_region' in terms
    assert terms['regions'] > 2
    own = {name for name in terms if name not in ('loss_region', 'floor_region', 'regions', 'spared')}
    assert any('loss' in name for name in own)
    total(terms).backward()
    assert all(p.grad is not None for p in model.network.parameters())  # what no loss reaches would stop DDP
    assert set(model.base.loss(inputs, samples)) == own


def test_lrc_names_its_weights_once_and_as_everywhere():
    model = lrc('moco')
    names = set(model.state_dict())
    assert {'base.queue', 'base.filled'} <= names
    assert any(name.startswith('network.backbone.') for name in names)
    assert any(name.startswith('network.decode_head.') for name in names)
    assert any(name.startswith('teacher.module.local_projector.') for name in names)
    assert not any(name.startswith(('base.network', 'base.teacher')) for name in names)


def test_the_queue_moves_and_the_teacher_follows_the_local_projector():
    model = lrc('moco')
    inputs, samples = with_regions(3)
    model.loss(inputs, samples)
    assert model.base.filled == 3
    with torch.no_grad():
        model.network.local_projector[0].weight += 1
    before = model.teacher.module.local_projector[0].weight.clone()
    model.update_teacher(0.5)
    assert not torch.equal(model.teacher.module.local_projector[0].weight, before)


def test_a_pretrained_decoder_fits_the_segmentor():
    model = lrc('moco')
    backbone = dict(type='UNetEncoder', in_channels=1, channels=(4, 8, 8), strides=(1, 2, 2))
    config = tiny_segmentor_config(medcontext=False)
    config['network']['backbone'] = backbone
    target = MODELS.build(config)
    weights = {
        name.removeprefix('network.'): value
        for name, value in model.state_dict().items()
        if name.startswith(('network.backbone.', 'network.decode_head.'))
    }
    missing, unexpected = target.network.load_state_dict(weights, strict=False)
    assert unexpected == []
    assert missing
    assert all('.outs.' in name for name in missing)


def test_a_copy_of_lrc_is_of_one_piece():
    model = copy.deepcopy(lrc('moco'))
    assert model.base.network is model.network
    assert model.base.teacher is model.teacher


def test_lrc_without_decoder_is_refused():
    with pytest.raises(ValueError, match=r'give base.network a decode_head'):
        MODELS.build(dict(LRC, base=METHODS['moco']))

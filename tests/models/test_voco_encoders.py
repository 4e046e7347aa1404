"""VoCo on every encoder of the package, and its published size on Swin UNETR."""

from fnmatch import fnmatchcase

import pytest
import torch
from network_table import NETWORKS
from test_configs import load

from medctx3d.registry import MODELS

ENCODERS = {
    name: (tiny.network['backbone'], tiny.crops[0])
    for name, tiny in NETWORKS.items()
    if tiny.network['type'] == 'EncoderDecoder'
}


@pytest.mark.parametrize('name', sorted(ENCODERS))
def test_a_step_of_voco_reaches_every_parameter_of_every_encoder(name):
    backbone, size = ENCODERS[name]
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='VoCo',
            network=dict(
                type='EmbeddingNet',
                backbone=backbone,
                projector=dict(type='Projector', hidden_channels=16, out_channels=8),
                levels=range(len(MODELS.build(NETWORKS[name].network).backbone.out_channels)),
            ),
            crops=dict(type='PositionCrops', grid=(2, 1, 1), base_size=size, num_drawn=1, rotate_prob=0),
            criterion=dict(type='VoCoLoss', prediction='symmetric', form='square'),
            teacher=dict(type='EMATeacher'),
        )
    ).train()
    model.prime_teacher()
    total, _ = model.parse_losses(model(torch.rand(1, 1, 2 * size[0], *size[1:]), [], mode='loss'))
    total.backward()
    assert total.isfinite()
    assert [key for key, weight in model.network.named_parameters() if weight.grad is None] == []


SKIPS = {f'backbone.encoder{i}.layer.conv{j}.conv.weight' for i in (1, 2, 3, 4) for j in (1, 2)}
SKIPS |= {'backbone.encoder1.layer.conv3.conv.weight'}
BEFORE_BATCH_NORM = {'projector.0.bias', 'projector.3.bias'}  # which takes out what all rows share


@pytest.mark.parametrize(('form', 'unreached'), [('paper', SKIPS), ('v1', set()), ('v2', set())])
def test_what_the_shipped_forms_on_swin_unetr_train_is_what_fine_tuning_takes(form, unreached):
    """Two channels: of one alone InstanceNorm takes out the weight of a 1x1x1 convolution, all but its sign."""
    config = load(f'configs/voco/swinunetr_btcv_{form}.py').model
    config.network.backbone.update(in_channels=2, feature_size=12, window_size=2, use_checkpoint=False)
    config.network.projector.update(hidden_channels=16, out_channels=8)
    config.crops.update(grid=(2, 1, 1), base_size=(64, 32, 32), out_size=None, num_drawn=2, rotate_prob=0)
    torch.manual_seed(0)
    model = MODELS.build(config).train()
    model.prime_teacher()
    total, _ = model.parse_losses(model(torch.rand(2, 2, 128, 32, 32), [], mode='loss'))
    total.backward()
    gradients = {name: weight.grad for name, weight in model.network.named_parameters()}
    assert {name for name, gradient in gradients.items() if gradient is None} == unreached
    sizes = {name: float(gradient.abs().max()) for name, gradient in gradients.items() if gradient is not None}
    largest = max(sizes.values())
    assert {name for name, size in sizes.items() if size < 1e-6 * largest} == BEFORE_BATCH_NORM
    start = load(f'configs/voco/finetune_swinunetr_btcv_{form}.py').model.network.init_cfg
    left_out = {name for name in gradients for pattern in start.get('leave_out', ()) if fnmatchcase(name, pattern)}
    assert left_out == unreached


@pytest.mark.parametrize(('name', 'hidden', 'pooled'), [('v1', 2048, 1152), ('v2', 1024, 1152)])
def test_the_published_size_is_built(name, hidden, pooled):
    """VoCo_B: 53.16 million parameters of the encoder, projector 1152-hidden-hidden-hidden."""
    network = MODELS.build(load(f'configs/voco/swinunetr_btcv_{name}.py').model.network)
    encoder = sum(weight.numel() for weight in network.backbone.parameters())
    assert round(encoder / 1e6, 2) == 53.16
    sizes = [tuple(layer.weight.shape) for layer in network.projector if hasattr(layer, 'in_features')]
    assert sizes == [(hidden, pooled), (hidden, hidden), (hidden, hidden)]

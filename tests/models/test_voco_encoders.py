"""VoCo on every encoder of the package, and its published size on Swin UNETR."""

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


@pytest.mark.parametrize(('name', 'hidden', 'pooled'), [('v1', 2048, 1152), ('v2', 1024, 1152)])
def test_the_published_size_is_built(name, hidden, pooled):
    """VoCo_B: 53.16 million parameters of the encoder, projector 1152-hidden-hidden-hidden."""
    network = MODELS.build(load(f'configs/voco/swinunetr_btcv_{name}.py').model.network)
    encoder = sum(weight.numel() for weight in network.backbone.parameters())
    assert round(encoder / 1e6, 2) == 53.16
    sizes = [tuple(layer.weight.shape) for layer in network.projector if hasattr(layer, 'in_features')]
    assert sizes == [(hidden, pooled), (hidden, hidden), (hidden, hidden)]

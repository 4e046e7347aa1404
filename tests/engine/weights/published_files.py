"""Files in each published naming, at the smallest size of their networks, with values nobody trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from monai.networks.nets import UNETR, SegResNet, SwinUNETR
from nnunet_reference import ReferenceUNet
from torch import Tensor, nn

SWIN = dict(feature_size=12, depths=(1, 1, 1, 1), num_heads=(1, 1, 1, 1), window_size=2)
VIT = dict(img_size=(32, 32, 32), feature_size=4, hidden_size=12, mlp_dim=16, num_heads=3)


class Published(NamedTuple):
    """A file, and what is known of it without reading it.

    Attributes:
        content: What the checkpoint holds.
        network: Config of the network that it belongs to.
        unused: Beginnings of the names that are no part of that network.
        arguments: That loading it needs.
        part: That it fills.
    """

    content: dict[str, Any]
    network: dict[str, Any]
    unused: tuple[str, ...] = ()
    arguments: dict[str, Any] = {}
    part: str = 'encoder_decoder'


def swin_network(*, classes: int = 3, **backbone: Any) -> dict[str, Any]:
    return dict(
        type='EncoderDecoder',
        backbone={**dict(type='SwinUNETREncoder', in_channels=1), **SWIN, **backbone},
        decode_head=dict(type='SwinUNETRDecoder', num_classes=classes),
    )


def unetr_network(*, classes: int = 3, **backbone: Any) -> dict[str, Any]:
    return dict(
        type='EncoderDecoder',
        backbone={**dict(type='UNETREncoder', in_channels=1), **VIT, **backbone},
        decode_head=dict(type='UNETRDecoder', num_classes=classes),
    )


def nnunet_network(block: str = 'plain', **changes: Any) -> dict[str, Any]:
    residual = block == 'residual'
    backbone = dict(
        type='NNUNetEncoder',
        in_channels=1,
        channels=(4, 6, 8),
        strides=(1, (2, 2, 1), 2),
        kernels=((3, 3, 1), 3, 3),
        depths=(1, 2, 2) if residual else 2,
        block=block,
    )
    head = dict(type='NNUNetDecoder', num_classes=3, levels=2, depth=1 if residual else 2, kernels=((3, 3, 1), 3, 3))
    return dict(type='EncoderDecoder', backbone={**backbone, **changes}, decode_head=head)


def filled(module: nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """The module's state dict after each weight got a value of its own; statistics and tables stay."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.2)
    return module.state_dict()


def swin_state(*, classes: int = 3, **changes: Any) -> dict[str, Tensor]:
    return filled(SwinUNETR(in_channels=1, out_channels=classes, **{**SWIN, **changes}))


def unetr_state(proj_type: str = 'conv') -> dict[str, Tensor]:
    return filled(UNETR(in_channels=1, out_channels=3, proj_type=proj_type, **VIT))


def beginning(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items()}


def without(state: dict[str, Tensor], *beginnings: str) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.startswith(beginnings)}


def linear(name: str) -> dict[str, Tensor]:
    return {f'{name}.weight': torch.rand(3, 3), f'{name}.bias': torch.rand(3)}


def _encoder(**changes: Any) -> dict[str, Tensor]:
    return without(swin_state(use_v2=True, **changes), 'decoder', 'out.')


def _medcontext_unetr() -> Published:
    """The released script: the transformer's parts stand at the top, beside a mask token with axes of length 1."""
    state = {name.removeprefix('vit.'): value for name, value in unetr_state('perceptron').items()}
    state = {name: value for name, value in state.items() if 'norm_cross_attn' not in name}
    state['mask_token'] = torch.rand(1, 1, VIT['hidden_size'])  # type: ignore[arg-type]
    network = unetr_network(proj_type='perceptron', token_masking=True)
    return Published(dict(state_dict=state, epoch=3), network)


def _swin_vit() -> Published:
    state = {
        f'module.{name.removeprefix("swinViT.")}'.replace('mlp.linear', 'mlp.fc'): value
        for name, value in swin_state().items()
        if name.startswith('swinViT.')
    }
    return Published(
        dict(state_dict=state), swin_network(patch_merging='legacy'), (), dict(min_coverage=0.1), 'encoder'
    )


def _pymic(names: dict[str, tuple[int, ...]]) -> Published:
    state = {name: torch.rand(shape) for name, shape in names.items()}
    content = dict(iteration=1, valid_pred=0.5, model_state_dict=state, optimizer_state_dict={})
    return Published(content, dict(type='WholeNet', net=dict(type='NamedTensors', shapes=names)))


PCTNET = {
    'embeddings.1.proj.weight': (2, 1, 1, 3, 3),
    'embeddings.1.conv0.conv1.weight': (2, 2, 1, 3, 3),
    'pyramid_ct.down3.conv.weight': (4, 2, 3, 3, 3),
    'pyramid_ct.convtrans_e2.relative_position_bias_table': (27, 2),
    'pyramid_ct.up3.conv.weight': (2, 4, 3, 3, 3),
    'pyramid_ct.out_conv2.conv.weight': (5, 2, 1, 1, 1),
    'pred_heads.1.up1.conv.weight': (2, 4, 3, 3, 3),
    'pred_heads.1.out_conv0.conv.weight': (5, 2, 1, 1, 1),
}
FMUNET = {
    'project.weight': (2, 1, 1, 3, 3),
    'encoder.en_conv0.conv_list.0.3.weight': (2, 2, 3, 3, 3),
    'encoder.down0.down.2.weight': (4, 2, 3, 3, 3),
    'decoder.upcat0.up.2.weight': (2, 4, 1, 1, 1),
    'out_layers.0.2.weight': (5, 2, 1, 3, 3),
    'out_layers.0.2.bias': (5,),
}
PLAN = dict(
    architecture_plans=dict(arch_class_name='ResEncL'),
    pretrain_plan=dict(configurations=dict(onemmiso=dict(spacing=[3.0, 2.0, 1.0], patch_size=[16, 24, 32]))),
    pretrain_num_input_channels=1,
    key_to_encoder='encoder.stages',
    key_to_stem='encoder.stem',
)
LEGACY_V2 = dict(use_v2=True, patch_merging='legacy')
FILES: dict[str, Callable[[], Published]] = {
    'monai_swin_unetr': lambda: Published(
        dict(state_dict=beginning('module.', swin_state())), swin_network(), (), dict(patch_merging='current')
    ),
    'monai_swin_vit': _swin_vit,
    'monai_unetr': lambda: Published(unetr_state(), unetr_network(), ('vit.blocks.',)),
    'medcontext_unetr': _medcontext_unetr,
    'voco_ssl_head': lambda: Published(_encoder(), swin_network(**LEGACY_V2), (), {}, 'encoder'),
    'vocomni': lambda: Published(swin_state(use_v2=True, classes=21), swin_network(classes=21, **LEGACY_V2)),
    'voco_training': lambda: Published(
        dict(
            global_step=7,
            state_dict=beginning('module.backbone.', _encoder())
            | beginning('module.', linear('student.layer1.0') | linear('teacher.layer1.0')),
        ),
        swin_network(use_v2=True),
        ('student.', 'teacher.'),
        dict(patch_merging='current'),
        'encoder',
    ),
    'suprem_swin_unetr': lambda: Published(
        dict(net=beginning('module.backbone.', swin_state()) | beginning('module.', linear('precls_conv.2'))),
        swin_network(patch_merging='legacy'),
        ('precls_conv.',),
    ),
    'suprem_segresnet': lambda: Published(
        dict(net=beginning('module.', filled(SegResNet(init_filters=8, out_channels=3)))),
        dict(type='WholeNet', net=dict(type='monai.networks.nets.SegResNet', init_filters=8, out_channels=3)),
    ),
    'pymic_pctnet': lambda: _pymic(PCTNET),
    'pymic_fmunet': lambda: _pymic(FMUNET),
    'nnunet': lambda: Published(
        dict(network_weights=filled(ReferenceUNet()), trainer_name='nnUNetTrainer'),
        nnunet_network(),
    ),
    'nnssl': lambda: Published(
        dict(network_weights=filled(ReferenceUNet(residual=True)), nnssl_adaptation_plan=PLAN, trainer_name='MAE'),
        nnunet_network('residual'),
    ),
}

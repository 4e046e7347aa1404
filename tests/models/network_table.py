"""Every network of the package at its smallest, for the contract that all of them keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from medctx3d.typing import Size3

CLASSES = 3


class Tiny(NamedTuple):
    """One network at its smallest.

    Attributes:
        network: Config of the network; one channel in, ``CLASSES`` out.
        crops: Crops (X, Y, Z) that it documents; the first is small, for tests that compute. In the last, no grid is
            shorter along X than the kernels that run over it.
        refused: A crop that it documents not to take.
        levels: Stride of each logits level in training.
        tokens: Whether ``token_masking`` can be switched on.
    """

    network: dict[str, Any]
    crops: Sequence[Size3]
    refused: Size3
    levels: Sequence[Size3] = ((1, 1, 1),)
    tokens: bool = False


def split(backbone: dict[str, Any], decode_head: dict[str, Any]) -> dict[str, Any]:
    """A backbone and a decode head as a network."""
    return dict(
        type='EncoderDecoder',
        backbone=dict(in_channels=1, **backbone),
        decode_head=dict(num_classes=CLASSES, **decode_head),
    )


def own(name: str, **arguments: Any) -> dict[str, Any]:
    """A whole network of the package."""
    return dict(type='WholeNet', net=dict(type=name, in_channels=1, num_classes=CLASSES, **arguments))


def whole(name: str, **arguments: Any) -> dict[str, Any]:
    """A network of MONAI."""
    net = dict(type=f'monai.networks.nets.{name}', in_channels=1, out_channels=CLASSES, spatial_dims=3, **arguments)
    return dict(type='WholeNet', net=net)


ANISOTROPIC = (1, (2, 2, 1), 2)  # strides
NETWORKS: dict[str, Tiny] = {
    'unetr': Tiny(
        split(
            dict(type='UNETREncoder', img_size=(32, 32, 16), feature_size=4, hidden_size=24, mlp_dim=48, num_heads=3),
            dict(type='UNETRDecoder'),
        ),
        crops=[(32, 32, 16)],
        refused=(32, 32, 32),
        tokens=True,
    ),
    'swin_unetr': Tiny(
        split(
            dict(type='SwinUNETREncoder', feature_size=12, depths=(2, 1, 1, 1), window_size=4),
            dict(type='SwinUNETRDecoder'),
        ),
        crops=[(64, 32, 32), (96, 32, 32)],
        refused=(64, 32, 48),
        tokens=True,
    ),
    'nnformer': Tiny(
        split(
            dict(
                type='NNFormerEncoder',
                feature_size=8,
                token_patch=(2, 2, 1),
                num_heads=(1, 2, 2, 4),
                windows=(2, 2, 2, 2),
                drop_path_rate=0,
            ),
            dict(type='NNFormerDecoder', num_heads=(1, 2, 2), windows=(2, 2, 2), drop_path_rate=0, levels=3),
        ),
        crops=[(32, 32, 16), (48, 40, 20)],
        refused=(32, 31, 16),
        levels=[(1, 1, 1), (2, 2, 2), (4, 4, 4)],
        tokens=True,
    ),
    'unetr_plus_plus': Tiny(
        split(
            dict(
                type='UNETRPlusPlusEncoder',
                img_size=(32, 32, 16),
                channels=(8, 16),
                depths=(1, 1),
                num_heads=2,
                projection_sizes=(8, 4),
            ),
            dict(
                type='UNETRPlusPlusDecoder',
                img_size=(32, 32, 16),
                depths=(1,),
                num_heads=2,
                projection_size=8,
                levels=2,
            ),
        ),
        crops=[(32, 32, 16)],
        refused=(32, 32, 32),
        levels=[(1, 1, 1), (4, 4, 2)],
        tokens=True,
    ),
    'unet': Tiny(
        split(
            dict(type='UNetEncoder', channels=(4, 8, 16), strides=ANISOTROPIC),
            dict(type='UNetDecoder', levels=2),
        ),
        crops=[(16, 16, 8), (20, 8, 6)],
        levels=[(1, 1, 1), (2, 2, 1)],
        refused=(16, 16, 7),
    ),
    'nnunet_plain': Tiny(
        split(
            dict(type='NNUNetEncoder', channels=(4, 6, 8), strides=ANISOTROPIC),
            dict(type='NNUNetDecoder', levels=2),
        ),
        crops=[(16, 16, 8), (20, 8, 6)],
        levels=[(1, 1, 1), (2, 2, 1)],
        refused=(18, 16, 8),
    ),
    'nnunet_resenc': Tiny(
        split(
            dict(type='NNUNetEncoder', channels=(4, 6, 8), strides=ANISOTROPIC, block='residual', depths=(1, 2, 2)),
            dict(type='NNUNetDecoder', levels=2, depth=1),
        ),
        crops=[(16, 16, 8), (20, 8, 6)],
        levels=[(1, 1, 1), (2, 2, 1)],
        refused=(18, 16, 8),
    ),
    'pcrlv2': Tiny(
        split(dict(type='PCRLv2Encoder', channels=(16, 16, 32)), dict(type='PCRLv2Decoder')),
        crops=[(16, 16, 8), (20, 8, 12)],
        refused=(16, 16, 6),
    ),
    'pctnet': Tiny(
        own('PCTNet', channels=(4, 4, 8, 8, 8), num_heads=(2, 2, 2), windows=(2, 2, 2), levels=4, drop_path_rate=0),
        crops=[(32, 32, 16), (48, 32, 24)],
        levels=[(1, 1, 1), (2, 2, 1), (4, 4, 2), (8, 8, 4)],
        refused=(16, 16, 12),
    ),
    'fmunet': Tiny(
        own('FMUNet', channels=(4, 4, 8, 8, 8), mode=1, levels=4),
        crops=[(32, 16, 8), (32, 32, 24)],
        levels=[(1, 1, 1), (2, 2, 1), (4, 4, 2), (8, 8, 4)],
        refused=(16, 16, 12),
    ),
    'dynunet': Tiny(
        whole(
            'DynUNet',
            filters=(4, 6, 8, 8),
            kernel_size=(3, 3, 3, 3),
            strides=(1, (2, 2, 1), 2, 2),
            upsample_kernel_size=((2, 2, 1), 2, 2),
            deep_supervision=True,
            deep_supr_num=2,
        ),
        crops=[(16, 16, 8), (24, 8, 12)],
        levels=[(1, 1, 1)] * 3,  # it interpolates its levels to full size
        refused=(16, 16, 6),
    ),
    'segresnet': Tiny(
        whole('SegResNet', init_filters=8, blocks_down=(1, 1, 1, 1), dropout_prob=0.2),
        crops=[(16, 16, 8), (24, 8, 16)],
        refused=(16, 16, 12),
    ),
    'monai_unet': Tiny(
        whole('UNet', channels=(4, 4, 8, 8), strides=(2, 2, 2), num_res_units=2),
        crops=[(16, 16, 8), (24, 8, 16)],
        refused=(16, 16, 12),
    ),
    'vnet': Tiny(whole('VNet'), crops=[(16, 16, 16), (80, 16, 16)], refused=(16, 16, 24)),  # it has one width only
    'mednext': Tiny(
        whole(
            'MedNeXt',
            init_filters=4,
            blocks_down=(1, 1, 1, 1),
            blocks_up=(1, 1, 1, 1),
            blocks_bottleneck=1,
            kernel_size=3,
            use_residual_connection=True,
            deep_supervision=True,
        ),
        crops=[(32, 32, 16), (48, 32, 16)],
        levels=[(2**level,) * 3 for level in range(5)],
        refused=(32, 32, 24),
    ),
}

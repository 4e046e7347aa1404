"""Masked autoencoder, dense and in 3D, on head and neck CT: the control that every pretraining is compared with."""

_base_ = [
    '../_base_/models/unet_half.py',
    '../_base_/datasets/head_neck_images.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

model = dict(
    _delete_=True,
    type='MaskedAutoencoder',
    network=dict(
        type='EncoderDecoder',
        backbone={{_base_.model.network.backbone}},
        decode_head=dict(type='UNetDecoder', num_classes='$in_channels'),
    ),
    masking=dict(type='RandomMask', ratio=0.75),
    patch_size=(8, 8, 8),
)
custom_hooks = [
    dict(type='DataManifestHook'),
    dict(type='CollapseMonitorHook', interval=100),
    dict(type='TrivialFloorHook', value='loss_reconstruction', floor='mean_error'),
    '$probe_hook',
]

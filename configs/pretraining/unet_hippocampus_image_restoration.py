"""Restoration of corrupted volumes, after Models Genesis: a control of the pretrainings."""

_base_ = [
    '../_base_/models/unet_small.py',
    '../_base_/datasets/hippocampus_images.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

model = dict(
    _delete_=True,
    type='ImageRestoration',
    network=dict(
        type='EncoderDecoder',
        backbone={{_base_.model.network.backbone}},
        decode_head=dict(type='UNetDecoder', num_classes='$in_channels'),
    ),
    corruption=[
        dict(type='monai.transforms.RandHistogramShift', num_control_points=(3, 8), prob=0.9),
        dict(
            type='monai.transforms.RandCoarseShuffle',
            holes=20,
            max_holes=60,
            spatial_size=2,
            max_spatial_size=5,
            prob=0.5,
        ),
        dict(
            type='monai.transforms.RandCoarseDropout',
            holes=3,
            max_holes=8,
            spatial_size=6,
            max_spatial_size=12,
            prob=0.9,
        ),
    ],
)
custom_hooks = [
    dict(type='DataManifestHook'),
    dict(type='CollapseMonitorHook', interval=100),
    dict(type='TrivialFloorHook', value='loss_restoration', floor='corruption'),
    '$probe_hook',
]

"""Momentum contrast of head and neck CT: a control of the pretrainings."""

_base_ = [
    '../_base_/models/unet_half.py',
    '../_base_/datasets/head_neck_images.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

model = dict(
    _delete_=True,
    type='MoCo',
    network=dict(
        type='EmbeddingNet',
        backbone={{_base_.model.network.backbone}},
        projector=dict(type='Projector', hidden_channels=256, out_channels=128, num_layers=2, norm='batch'),
    ),
    views=dict(type='RandomViews', size=(32, 32, 32), zoom=(0.8, 1.25), flip_axes=(0,)),
    jitter=dict(type='IntensityJitter'),
    teacher=dict(type='EMATeacher'),
    queue_size=64,  # fewer than volumes: an older view of the same one is no negative
)
custom_hooks = [
    dict(type='DataManifestHook'),
    dict(type='EMATeacherHook', decay=0.99, schedule='constant'),
    dict(type='CollapseMonitorHook', interval=100),
    dict(type='TrivialFloorHook', value='loss_contrast', floor='floor_constant'),
    '$probe_hook',
]

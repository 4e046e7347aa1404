"""Localized Region Contrast (arXiv 2304.03406) on momentum contrast of head and neck CT.

Without it: ../pretraining/unet_head_neck_moco.py. Region maps first: tools/dataset/superpixels.py THIS_CONFIG
"""

_base_ = [
    '../_base_/models/unet_half.py',
    '../_base_/datasets/head_neck_images.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(dataset=dict(region_maps='beside'))
views = dict(type='RandomViews', size=(32, 32, 32), zoom=(0.8, 1.25), flip_axes=(0,))
model = dict(
    _delete_=True,
    type='LRC',
    base=dict(
        type='MoCo',
        network=dict(
            type='EmbeddingNet',
            backbone={{_base_.model.network.backbone}},
            projector=dict(type='Projector', hidden_channels=256, out_channels=128, num_layers=2, norm='batch'),
            decode_head=dict(type='UNetDecoder'),
            local_projector=dict(type='Projector', hidden_channels=64, out_channels=64, num_layers=2, norm='none'),
        ),
        views='$views',
        jitter=dict(type='IntensityJitter'),
        teacher=dict(type='EMATeacher'),
        queue_size=64,  # fewer than volumes: an older view of the same one is no negative
    ),
    views='$views',
    jitter=dict(type='IntensityJitter'),
    contrast=dict(type='RegionContrastLoss', max_regions=32, anchors=8, negatives=256),
)
custom_hooks = [
    dict(type='DataManifestHook'),
    dict(type='EMATeacherHook', decay=0.99, schedule='constant'),
    dict(type='CollapseMonitorHook', interval=100),
    dict(type='TrivialFloorHook', value='loss_region', floor='floor_region'),
    '$probe_hook',
]

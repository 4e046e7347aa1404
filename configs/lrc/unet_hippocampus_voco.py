"""Localized Region Contrast (arXiv 2304.03406) on VoCo. Without it: ../voco/unet_hippocampus_v1.py

Region maps first: tools/dataset/superpixels.py THIS_CONFIG --modality mr --min-size 30
"""

_base_ = [
    '../_base_/models/unet_small.py',
    '../_base_/datasets/hippocampus_images.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

size = dict(type='monai.transforms.Resized', spatial_size='$patch_size', mode=('area', 'nearest'))
window = [dict(keys=['image', 'regions'], **size), dict(type='PackVolume')]
train_dataloader = dict(dataset=dict(pipeline=window, region_maps='beside'))
model = dict(
    _delete_=True,
    type='LRC',
    base=dict(
        type='VoCo',
        network=dict(
            type='EmbeddingNet',
            backbone={{_base_.model.network.backbone}},
            projector=dict(type='Projector', hidden_channels=256, out_channels=256),
            levels=(0, 1, 2, 3),
            decode_head=dict(type='UNetDecoder'),
            local_projector=dict(type='Projector', hidden_channels=64, out_channels=64, num_layers=2, norm='none'),
        ),
        crops=dict(type='PositionCrops', grid=(2, 3, 2), base_size=(16, 16, 16), shift_prob=0.1),
        criterion=dict(type='VoCoLoss', prediction='symmetric', form='square', detach_regular=True),
        teacher=dict(type='EMATeacher'),
    ),
    views=dict(type='RandomViews', size=(24, 32, 24), zoom=(0.8, 1.25)),
    jitter=dict(type='IntensityJitter'),
    contrast=dict(type='RegionContrastLoss', max_regions=32, anchors=8, negatives=256),
)
custom_hooks = [
    dict(type='DataManifestHook'),
    dict(type='EMATeacherHook', decay=0.9, schedule='constant'),
    dict(type='CollapseMonitorHook', interval=100),
    dict(type='TrivialFloorHook', value='loss_region', floor='floor_region'),
    dict(type='TrivialFloorHook', value='prediction', floor='floor_constant'),
    '$probe_hook',
]

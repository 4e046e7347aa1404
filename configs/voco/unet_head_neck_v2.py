"""VoCo as its extension (arXiv 2410.09890) on head and neck CT: a teacher of the projector, a term between volumes."""

_base_ = [
    '../_base_/models/unet_half.py',
    '../_base_/datasets/head_neck_images.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

window = [dict(type='monai.transforms.Resized', keys=['image'], spatial_size=(64, 64, 64)), dict(type='PackVolume')]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=window))  # the whole volume in one window
model = dict(
    _delete_=True,
    type='VoCo',
    network=dict(
        type='EmbeddingNet',
        backbone={{_base_.model.network.backbone}},
        projector=dict(type='Projector', hidden_channels=256, out_channels=256),
        levels=(0, 1, 2, 3),
    ),
    crops=dict(type='PositionCrops', grid=(2, 2, 2), base_size=(32, 32, 32), shift_prob=0.5),
    criterion=dict(type='VoCoLoss', prediction='one_way', form='log', detach_regular=True, inter_volume=True),
    teacher=dict(type='EMATeacher'),
    teacher_of='projector',
)
custom_hooks = [
    dict(type='DataManifestHook'),
    dict(type='EMATeacherHook', decay=0.9, schedule='constant'),
    dict(type='CollapseMonitorHook', interval=100),
    dict(type='TrivialFloorHook', value='prediction', floor='floor_constant'),
    '$probe_hook',
]

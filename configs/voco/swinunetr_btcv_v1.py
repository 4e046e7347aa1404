"""VoCo as its released code (version 1): a teacher of the whole network; Swin UNETR-V2 at published size.

Fine-tuning: finetune_swinunetr_btcv_v1.py. Other volumes: UnlabelledDataset, see ../_base_/datasets/btcv_images.py
"""

_base_ = [
    '../_base_/models/swinunetr.py',
    '../_base_/datasets/btcv_images.py',
    '../_base_/schedules/adamw_250k_warmup.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(
    batch_size=2,
    dataset=dict(
        pipeline=[
            dict(type='monai.transforms.Resized', keys=['image'], spatial_size=(384, 384, 96)),
            dict(type='PackVolume'),
        ]
    ),
)
model = dict(
    _delete_=True,
    type='VoCo',
    network=dict(
        type='EmbeddingNet',
        backbone=dict(
            type='SwinUNETREncoder', in_channels='$in_channels', feature_size=48, use_v2=True, use_checkpoint=True
        ),
        projector=dict(type='Projector', hidden_channels=2048, out_channels=2048),
        levels=(0, 1, 2, 3, 5),
    ),
    crops=dict(type='PositionCrops', grid=(4, 4, 1), base_size=(96, 96, 96), out_size=(64, 64, 64)),
    criterion=dict(type='VoCoLoss', prediction='symmetric', form='square', detach_regular=True),
    teacher=dict(type='EMATeacher'),
)
custom_hooks = [
    dict(type='EMATeacherHook', decay=0.9, schedule='constant'),
    dict(type='CollapseMonitorHook', interval=1000),
    dict(type='TrivialFloorHook', value='prediction', floor='floor_constant', interval=1000, after=10000),
    '$probe_hook',
]

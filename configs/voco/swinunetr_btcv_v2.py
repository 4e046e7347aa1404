"""VoCo as its extension (arXiv 2410.09890): a teacher of the projector, a term between volumes; Swin UNETR-V2.

Fine-tuning: finetune_swinunetr_btcv_v2.py. Other volumes: UnlabelledDataset, see ../_base_/datasets/btcv_images.py
"""

_base_ = [
    '../_base_/models/swinunetr.py',
    '../_base_/datasets/btcv_images.py',
    '../_base_/schedules/adamw_250k_warmup.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(max_iters=2000000)
train_dataloader = dict(
    batch_size=2,
    dataset=dict(pipeline=[dict(type='ForegroundCrop', size=(192, 192, 64), small='refuse'), dict(type='PackVolume')]),
)
model = dict(
    _delete_=True,
    type='VoCo',
    network=dict(
        type='EmbeddingNet',
        backbone=dict(
            type='SwinUNETREncoder', in_channels='$in_channels', feature_size=48, use_v2=True, use_checkpoint=True
        ),
        projector=dict(type='Projector', hidden_channels=1024, out_channels=1024),
        levels=(0, 1, 2, 3, 5),
    ),
    crops=dict(type='PositionCrops', grid=(3, 3, 1), base_size=(64, 64, 64), shift_prob=0.5),
    criterion=dict(type='VoCoLoss', prediction='one_way', form='log', detach_regular=True, inter_volume=True),
    teacher=dict(type='EMATeacher'),
    teacher_of='projector',
)
custom_hooks = [
    dict(type='EMATeacherHook', decay=0.9, schedule='constant'),
    dict(type='CollapseMonitorHook', interval=1000),
    dict(type='TrivialFloorHook', value='prediction', floor='floor_constant', interval=1000, after=10000),
    '$probe_hook',
]

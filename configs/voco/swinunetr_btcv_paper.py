"""VoCo as the text of arXiv 2402.17300: one formula over all bases, no teacher; Swin UNETR at published size.

Fine-tuning: finetune_swinunetr_btcv_paper.py. Other volumes: UnlabelledDataset, see ../_base_/datasets/btcv_images.py
"""

_base_ = [
    '../_base_/models/swinunetr.py',
    '../_base_/datasets/btcv_images.py',
    '../_base_/schedules/adamw_250k_warmup.py',
    '../_base_/default_runtime.py',
]

find_unused_parameters = True  # the skip convolutions of the finer levels are no part of this form
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
        backbone={{_base_.model.network.backbone}},
        projector=dict(type='Projector', hidden_channels=2048, out_channels=2048),
        levels=(5,),
    ),
    crops=dict(type='PositionCrops', grid=(4, 4, 1), base_size=(96, 96, 96), out_size=(64, 64, 64), num_drawn=4),
    criterion=dict(type='VoCoLoss', prediction='one_way', form='joint', regular='absolute'),
)
custom_hooks = [
    dict(type='DataManifestHook'),
    dict(type='CollapseMonitorHook', interval=1000),
    dict(type='TrivialFloorHook', value='prediction', floor='floor_constant', interval=1000, after=10000),
    '$probe_hook',
]

"""VoCo as the text of arXiv 2402.17300: one formula over all bases, no teacher; a small U-Net on the hippocampus."""

_base_ = [
    '../_base_/models/unet_small.py',
    '../_base_/datasets/hippocampus_images.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

window = [dict(type='monai.transforms.Resized', keys=['image'], spatial_size=(32, 48, 32)), dict(type='PackVolume')]
train_dataloader = dict(dataset=dict(pipeline=window))  # the whole volume, as the released code resizes the body
model = dict(
    _delete_=True,
    type='VoCo',
    network=dict(
        type='EmbeddingNet',
        backbone={{_base_.model.network.backbone}},
        projector=dict(type='Projector', hidden_channels=256, out_channels=256),
        levels=(3,),
    ),
    crops=dict(type='PositionCrops', grid=(2, 3, 2), base_size=(16, 16, 16), shift_prob=0.1),
    criterion=dict(type='VoCoLoss', prediction='one_way', form='joint', regular='absolute'),
)
custom_hooks = [
    dict(type='DataManifestHook'),
    dict(type='CollapseMonitorHook', interval=100),
    dict(type='TrivialFloorHook', value='prediction', floor='floor_constant'),
    '$probe_hook',
]

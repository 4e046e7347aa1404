"""A small U-Net on the hippocampus that also tells regions apart (after arXiv 2304.03406). Baseline: ../unet/.

Region maps first: tools/dataset/superpixels.py THIS_CONFIG --modality mr --min-size 30
"""

_base_ = [
    '../_base_/models/unet_small.py',
    '../_base_/datasets/hippocampus.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(val_interval=100000)  # no validation: nothing is selected
train_dataloader = dict(dataset=dict(region_maps='beside'))
model = dict(
    auxiliary=dict(
        regions=dict(
            type='RegionContrastHead',
            contrast=dict(type='RegionContrastLoss', max_regions=32, anchors=8, negatives=256),
            weight=0.1,
        )
    )
)
custom_hooks = [
    dict(type='RampUpHook', head='regions', share=0.1),
    dict(type='ObjectiveMonitorHook', interval=500),
]

"""MedContext on the hippocampus, and regions told apart in the clean crop. Baseline: ../medcontext/unet_hippocampus.py

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
    teacher=dict(type='EMATeacher'),
    auxiliary=dict(
        medcontext=dict(
            type='MedContextHead',
            masking=dict(type='TubeMask', ratio=0.4, axis=2),
            patch_size=(8, 8, 8),
            consistency=dict(type='KLConsistencyLoss'),
            weight=0.5,
        ),
        regions=dict(
            type='RegionContrastHead',
            contrast=dict(type='RegionContrastLoss', max_regions=32, anchors=8, negatives=256),
            second='teacher',
            weight=0.1,
        ),
    ),
)
custom_hooks = [
    dict(type='EMATeacherHook', decay=0.996, end_decay=1.0, warmup='adaptive'),
    dict(type='RampUpHook', share=0.1),
    dict(type='RampUpHook', head='regions', share=0.1),
    dict(type='ObjectiveMonitorHook', interval=500),
]

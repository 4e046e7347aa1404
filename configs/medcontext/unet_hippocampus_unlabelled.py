"""MedContext on the hippocampus, the training volumes beyond ``cases`` coming without their labels.

For tools/fewshot.py, which sets ``cases``: the arm that learns from the volumes that the others never see.
"""

_base_ = [
    '../_base_/models/unet_small.py',
    '../_base_/datasets/hippocampus.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(val_interval=100000)  # no validation: nothing is selected
train_dataloader = dict(
    batch_size=4,  # as many labelled crops as the other arms, and as many without
    sampler=dict(_delete_=True, type='MixedSampler', labelled=1, unlabelled=1),
    dataset=dict(unlabelled_split='training'),
)
model = dict(
    teacher=dict(type='EMATeacher'),
    auxiliary=dict(
        medcontext=dict(
            type='MedContextHead',
            masking=dict(type='TubeMask', ratio=0.4, axis=2),
            patch_size=(8, 8, 8),
            consistency=dict(type='KLConsistencyLoss'),
            weight=0.5,
        )
    ),
)
custom_hooks = [
    dict(type='EMATeacherHook', decay=0.996, end_decay=1.0, warmup='adaptive'),
    dict(type='RampUpHook', share=0.1),
    dict(type='ObjectiveMonitorHook', interval=500),
]

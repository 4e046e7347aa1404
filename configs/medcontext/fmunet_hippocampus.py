"""FMUNet on the hippocampus with MedContext (arXiv 2402.17725). Baseline: ../fmunet/fmunet_hippocampus.py"""

_base_ = [
    '../_base_/models/fmunet.py',
    '../_base_/datasets/hippocampus.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(val_interval=100000)  # no validation: nothing is selected
model = dict(
    network=dict(net=dict(channels=(8, 16, 32, 64, 128))),
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

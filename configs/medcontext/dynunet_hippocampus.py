"""DynUNet on the hippocampus with MedContext (arXiv 2402.17725). Baseline: ../dynunet/dynunet_hippocampus.py"""

_base_ = [
    '../_base_/models/dynunet.py',
    '../_base_/datasets/hippocampus.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(val_interval=100000)  # no validation: nothing is selected
model = dict(
    network=dict(
        net=dict(
            kernel_size=(3, 3, 3, 3),
            strides=(1, 2, 2, 2),
            upsample_kernel_size=(2, 2, 2),
            filters=(16, 32, 64, 128),
            deep_supr_num=1,
        )
    ),
    criterion=dict(level_weights=(2 / 3, 1 / 3)),
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

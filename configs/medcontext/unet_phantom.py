"""A small U-Net with MedContext on generated CT: what `make demo` trains, on a laptop's CPU."""

_base_ = [
    '../_base_/models/unet_half.py',
    '../_base_/datasets/phantom.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

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
train_cfg = dict(max_iters=700, val_interval=350)
optim_wrapper = dict(optimizer=dict(lr=4e-3))
custom_hooks = [
    dict(type='EMATeacherHook', decay=0.996, end_decay=1.0, warmup='adaptive'),
    dict(type='RampUpHook', share=0.1),
    dict(type='ObjectiveMonitorHook', interval=500),
]

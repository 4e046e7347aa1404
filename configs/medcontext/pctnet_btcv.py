"""PCT-Net on BTCV with MedContext (arXiv 2402.17725). Baseline: ../pctnet/pctnet_btcv.py"""

_base_ = [
    '../_base_/models/pctnet.py',
    '../_base_/datasets/btcv.py',
    '../_base_/schedules/adam_6k.py',
    '../_base_/default_runtime.py',
]

patch_size = (128, 128, 64)  # voxels
spacing = (0.7578, 0.7578, 3.0)  # mm
train_dataloader = dict(batch_size=2)
model = dict(
    teacher=dict(type='EMATeacher'),
    auxiliary=dict(
        medcontext=dict(
            type='MedContextHead',
            masking=dict(type='TubeMask', ratio=0.4, axis=2),  # the same cells hidden in every axial slice
            patch_size=(16, 16, 16),
            consistency=dict(type='KLConsistencyLoss'),
            weight=0.5,
        )
    ),
)
custom_hooks = [
    dict(type='EMATeacherHook', decay=0.996, end_decay=1.0),
    dict(type='RampUpHook', share=0.1),
    dict(type='ObjectiveMonitorHook', interval=500),
]

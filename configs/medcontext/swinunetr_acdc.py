"""Swin UNETR on ACDC with MedContext (arXiv 2402.17725). Baseline: ../swin_unetr/swinunetr_acdc.py"""

_base_ = [
    '../_base_/models/swinunetr.py',
    '../_base_/datasets/acdc.py',
    '../_base_/schedules/adamw_90k.py',
    '../_base_/default_runtime.py',
]

patch_size = (160, 160, 32)  # voxels: the network halves 5 times
spacing = (1.5234, 1.5234, 3.175)  # mm: half the slice distance instead of padding
model = dict(
    teacher=dict(type='EMATeacher'),
    auxiliary=dict(
        medcontext=dict(
            type='MedContextHead',
            masking=dict(type='TubeMask', ratio=0.4, axis=2),  # the same cells hidden in every axial slice
            patch_size=(16, 16, 2),
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

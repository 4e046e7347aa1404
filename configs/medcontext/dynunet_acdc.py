"""DynUNet on ACDC with MedContext (arXiv 2402.17725). Baseline: ../dynunet/dynunet_acdc.py"""

_base_ = [
    '../_base_/models/dynunet.py',
    '../_base_/datasets/acdc.py',
    '../_base_/schedules/sgd_250k.py',
    '../_base_/default_runtime.py',
]

patch_size = (224, 256, 14)  # voxels
model = dict(
    network=dict(
        net=dict(
            kernel_size=((3, 3, 1), (3, 3, 1), 3, 3, 3, 3),
            strides=(1, (2, 2, 1), (2, 2, 1), 2, (2, 2, 1), (2, 2, 1)),
            upsample_kernel_size=((2, 2, 1), (2, 2, 1), 2, (2, 2, 1), (2, 2, 1)),
        )
    ),
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

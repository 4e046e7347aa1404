"""UNETR++ on ACDC with MedContext (arXiv 2402.17725). Baseline: ../unetr_plus_plus/unetr_plus_plus_acdc.py"""

_base_ = [
    '../_base_/models/unetr_plus_plus.py',
    '../_base_/datasets/acdc.py',
    '../_base_/schedules/sgd_250k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    network=dict(
        backbone=dict(token_patch=(4, 4, 1), projection='separate', convolutions=2, attention_dropout=0.1),
        decode_head=dict(projection='separate', convolutions=2, attention_dropout=0.1),
    ),
    criterion=dict(loss_dice_ce=dict(batch=False)),
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

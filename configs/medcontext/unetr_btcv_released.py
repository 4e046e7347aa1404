"""UNETR on BTCV with MedContext as its released code computes it, for comparison only.

What differs from the method as described, and why: docs/explanation/medcontext.md, "Three arithmetics".
Default: unetr_btcv.py; as stated in the paper: unetr_btcv_paper.py.
"""

_base_ = [
    '../_base_/models/unetr.py',
    '../_base_/datasets/btcv.py',
    '../_base_/schedules/adamw_90k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    network=dict(backbone=dict(token_masking=True, mask_positions=True)),
    teacher=dict(type='EMATeacher'),
    auxiliary=dict(
        medcontext=dict(
            type='MedContextHead',
            masking=dict(type='TubeMask', ratio=0.6, axis=0, shared=True),
            patch_size=(16, 16, 16),
            mask_space='token',  # the convolutional skip sees the whole image
            consistency=dict(type='ConsistencyLoss', normalize='frobenius'),
            weight=0.5,
        )
    ),
)
# Once per epoch of 18 steps, with the 18th value of a warm-up of 900 values from 0 to 0.996: 0.0188
custom_hooks = [dict(type='EMATeacherHook', decay=0.996 * 17 / 899, schedule='constant', interval=18)]

"""nnFormer on BTCV with MedContext as its released code computes it, for comparison only.

What differs from the method as described, and why: docs/explanation/medcontext.md, "Three arithmetics".
Default: nnformer_btcv.py; as stated in the paper: nnformer_btcv_paper.py.
"""

_base_ = [
    '../_base_/models/nnformer.py',
    '../_base_/datasets/btcv.py',
    '../_base_/schedules/sgd_250k.py',
    '../_base_/default_runtime.py',
]

patch_size = (128, 128, 64)  # voxels
spacing = (0.7578, 0.7578, 3.0)  # mm
train_dataloader = dict(batch_size=2)
model = dict(
    network=dict(backbone=dict(token_masking=True)),
    teacher=dict(type='EMATeacher', always_eval=False),  # stochastic depth blurs its targets
    auxiliary=dict(
        medcontext=dict(
            type='MedContextHead',
            masking=dict(type='TubeMask', ratio=0.4, axis=2, shared=True),
            patch_size=(4, 4, 2),  # one token
            mask_space='token',
            consistency=dict(type='ConsistencyLoss', normalize='frobenius'),
            weight=0.4,
        )
    ),
)
# Values 0 to 249 of a warm-up of 5000 values from 0 to 0.996, anew in every epoch of 250 steps: never above 0.05
custom_hooks = [dict(type='EMATeacherHook', decay=0.0, end_decay=0.996 * 249 / 4999, schedule='linear', period=250)]

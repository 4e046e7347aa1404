"""nnFormer on brain tumours with MedContext as its released code computes it, for comparison only.

What differs from the method as described, and why: docs/explanation/medcontext.md, "Three arithmetics".
Default: nnformer_brain_tumour.py
"""

_base_ = [
    '../_base_/models/nnformer.py',
    '../_base_/datasets/brain_tumour.py',
    '../_base_/schedules/sgd_250k.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=2)
model = dict(
    network=dict(
        backbone=dict(feature_size=96, token_patch=(4, 4, 4), published_position_index=True, token_masking=True),
        decode_head=dict(levels=1, num_heads=(6, 12, 24), published_position_index=True),
    ),
    criterion=dict(level_weights=(1.0,), loss_dice_ce=dict(batch=False)),
    teacher=dict(type='EMATeacher', always_eval=False),  # stochastic depth blurs its targets
    auxiliary=dict(
        medcontext=dict(
            type='MedContextHead',
            masking=dict(type='TubeMask', ratio=0.6, axis=2, shared=True),
            patch_size=(4, 4, 4),  # one token
            mask_space='token',
            consistency=dict(type='ConsistencyLoss', normalize='frobenius'),
            weight=0.5,
            first_sample_only=True,
        )
    ),
)
# Values 0 to 249 of a warm-up of 5000 values from 0 to 0.996, anew in every epoch of 250 steps: never above 0.05
custom_hooks = [dict(type='EMATeacherHook', decay=0.0, end_decay=0.996 * 249 / 4999, schedule='linear', period=250)]

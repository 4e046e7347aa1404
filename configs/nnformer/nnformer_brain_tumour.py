"""nnFormer on the brain tumours, supervised only: the baseline of ../medcontext/nnformer_brain_tumour.py"""

_base_ = [
    '../_base_/models/nnformer.py',
    '../_base_/datasets/brain_tumour.py',
    '../_base_/schedules/sgd_250k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    network=dict(backbone=dict(feature_size=96, token_patch=(4, 4, 4)), decode_head=dict(levels=1)),
    criterion=dict(level_weights=(1.0,), loss_dice_ce=dict(batch=False)),
)

"""nnFormer on the hippocampus, supervised only: the baseline of ../medcontext/nnformer_hippocampus.py"""

_base_ = [
    '../_base_/models/nnformer.py',
    '../_base_/datasets/hippocampus.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(val_interval=100000)  # no validation: nothing is selected
model = dict(
    network=dict(
        backbone=dict(feature_size=32, token_patch=(2, 2, 2), windows=(4, 4, 4, 4)),
        decode_head=dict(windows=(4, 4, 4)),
    ),
    criterion=dict(loss_dice_ce=dict(batch=False)),
)

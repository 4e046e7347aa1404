"""UNETR++ on the hippocampus, supervised only: the baseline of ../medcontext/unetr_plus_plus_hippocampus.py"""

_base_ = [
    '../_base_/models/unetr_plus_plus.py',
    '../_base_/datasets/hippocampus.py',
    '../_base_/schedules/adamw_cpu.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(val_interval=100000)  # no validation: nothing is selected
model = dict(
    network=dict(
        backbone=dict(
            feature_size=8, channels=(16, 32, 64, 128), token_patch=(2, 2, 2), projection_sizes=(32, 32, 32, 8)
        ),
        decode_head=dict(projection_size=32),
    ),
    criterion=dict(loss_dice_ce=dict(batch=False)),
)
